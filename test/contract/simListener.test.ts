// A service of the simulator that is shut and opened again, like a program that ends and is started anew.
import assert from 'node:assert/strict';
import { listen } from '../../src/sim/listener.ts';
import type { Listener } from '../../src/sim/listener.ts';

describe('a service of the simulator that is shut', function () {
  this.timeout(20_000);
  let listener: Listener;
  beforeEach(async () => {
    listener = await listen({
      handle: (_req, res) => void res.end('here'),
      upgrade: (_req, socket) => void socket.destroy(),
      dispose: () => undefined,
    });
  });
  afterEach(() => listener.dispose());
  const ask = async (): Promise<string> => (await fetch(listener.origin)).text();
  const isRefused = (error: unknown): boolean =>
    error instanceof TypeError && (error.cause as NodeJS.ErrnoException).code === 'ECONNREFUSED';

  it('refuses connections, and answers at the same address when it is open again', async () => {
    for (let round = 0; round < 5; round++) {
      assert.equal(await ask(), 'here');
      await listener.shut();
      await listener.shut();
      await assert.rejects(ask(), isRefused);
      await listener.reopen();
    }
    assert.equal(await ask(), 'here');
  });
});
