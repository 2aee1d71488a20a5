import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import * as vscode from 'vscode';

const slots = ['undici.globalDispatcher.1', 'undici.globalDispatcher.2'] as const;
const read = () => slots.map((name) => (globalThis as Record<symbol, unknown>)[Symbol.for(name)]);

describe('the HTTP library of the extension', () => {
  let dist: string;
  let chunks: string[];

  before(async () => {
    const extension = vscode.extensions.getExtension('podrelay.podrelay');
    assert.ok(extension);
    await extension.activate();
    dist = path.join(extension.extensionPath, 'dist');
    chunks = readdirSync(path.join(dist, 'chunks'))
      .map((name) => path.join(dist, 'chunks', name))
      .filter((file) => /\.c?js$/.test(file) && containsUndici(file));
  });

  it('is in chunks of its own, which the entry of the extension does not hold', () => {
    assert.ok(chunks.length > 0);
    assert.equal(containsUndici(path.join(dist, 'extension.cjs')), false);
  });

  it("leaves the dispatcher of the process, which other extensions' fetch uses, as the host set it", async () => {
    assert.equal(typeof globalThis.Headers, 'function');
    const before = read();
    for (const file of chunks) await import(pathToFileURL(file).href);
    for (const [index, slot] of read().entries()) assert.equal(slot, before[index], slots[index]);
  });

  it('does not become the dispatcher of a process in which nobody has touched fetch before', () => {
    // The library takes free slots only, and a host under test has filled them: so a fresh process, where Node itself
    // may fill them, but no code of ours.
    const script = `
      const define = Object.defineProperty;
      const writers = [];
      Object.defineProperty = (target, key, value) => {
        if (typeof key === 'symbol' && String(key).includes('undici.globalDispatcher')) writers.push(new Error().stack.split('\\n')[2].trim());
        return define(target, key, value);
      };
      for (const file of ${JSON.stringify(chunks.map((file) => pathToFileURL(file).href))}) await import(file);
      console.log(JSON.stringify(writers.filter((line) => !line.includes('node:'))));`;
    const env = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
    const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
      env,
      encoding: 'utf8',
    });
    assert.deepEqual(JSON.parse(printed), []);
  });
});

/** The library's error codes survive minification. */
function containsUndici(file: string): boolean {
  return readFileSync(file, 'utf8').includes('UND_ERR_');
}
