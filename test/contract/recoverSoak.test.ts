import assert from 'node:assert/strict';
import { soakReloads } from './reloadSoak.ts';

describe('many reloads at random moments', function () {
  this.timeout(120_000);

  it('lose no job that was sent, run none twice, and call none done without its file', async () => {
    const { begun, done, ...wrong } = await soakReloads(40, 4);
    // How many are made before their window is reloaded depends on the machine.
    assert.ok(done > 0, `none of ${begun} was made: the moments are no test`);
    assert.deepEqual(wrong, { lost: 0, falselyDone: 0, runTwice: 0, strayFiles: 0 });
  });
});
