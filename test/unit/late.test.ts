import assert from 'node:assert/strict';
import { late } from '../../src/core/kernel/late.ts';

interface Greeter {
  readonly name: string;
  greet(whom: string): Promise<string>;
  fail(): Promise<never>;
  each(): AsyncIterable<number>;
}

class RealGreeter implements Greeter {
  readonly name = 'real';
  #greeted = 0;
  greet(whom: string): Promise<string> {
    this.#greeted += 1;
    return Promise.resolve(`Hello ${whom}, number ${String(this.#greeted)}`);
  }
  fail(): Promise<never> {
    return Promise.reject(new RangeError('out of greetings'));
  }
  async *each(): AsyncIterable<number> {
    yield this.#greeted;
  }
}

describe('late', () => {
  it('loads nothing before the first call, and once for all calls', async () => {
    let loads = 0;
    const greeter = late<Greeter>(() => {
      loads += 1;
      return Promise.resolve(new RealGreeter());
    });
    const { greet } = greeter;
    assert.equal(loads, 0);
    assert.deepEqual(await Promise.all([greet('Ada'), greeter.greet('Bob')]), [
      'Hello Ada, number 1',
      'Hello Bob, number 2',
    ]);
    assert.equal(loads, 1);
    assert.equal(greeter.greet, greet);
  });

  it('gives at once what cannot wait', async () => {
    const real = new RealGreeter();
    const greeter: Greeter = late<Greeter>(() => Promise.resolve(real), { name: 'late', each: () => real.each() });
    assert.equal(greeter.name, 'late');
    await greeter.greet('Ada');
    for await (const count of greeter.each()) assert.equal(count, 1);
  });

  it('passes on what the real one throws', async () => {
    const greeter = late<Greeter>(() => Promise.resolve(new RealGreeter()));
    await assert.rejects(greeter.fail(), RangeError);
  });

  it('tries a failed load again at the next call', async () => {
    let loads = 0;
    const greeter = late<Greeter>(() => {
      loads += 1;
      return loads === 1 ? Promise.reject(new Error('the file is gone')) : Promise.resolve(new RealGreeter());
    });
    await assert.rejects(greeter.greet('Ada'), /the file is gone/);
    assert.equal(await greeter.greet('Ada'), 'Hello Ada, number 1');
  });

  it('can be awaited itself', async () => {
    const greeter = late<Greeter>(() => Promise.resolve(new RealGreeter()));
    assert.equal(await Promise.resolve(greeter), greeter);
  });

  it('stands in for the functions of a module', async () => {
    const { readFile } = late(() => import('node:fs/promises'));
    assert.match(await readFile(import.meta.filename, 'utf8'), /stands in for the functions of a module/);
  });
});
