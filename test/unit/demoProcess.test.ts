import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startDemo } from '../../src/host/startDemo.ts';
import type { Demo } from '../../src/host/startDemo.ts';

const greeting = {
  addresses: { localComfyUrl: 'a', runpodApiUrl: 'b', podProxyUrl: 'c', serverlessUrl: 'd', geminiUrl: 'e' },
  ...{ runpodApiKey: 'k', geminiApiKey: 'g', podId: 'p' },
};
const greet = `console.log(${JSON.stringify(JSON.stringify(greeting))});`;

/** A real process in the simulator's place, which behaves as the program says. */
describe('the process of the demo', () => {
  let folder: string;
  let demo: Demo | undefined;
  let ended: number;
  let lines: string[];
  const log = {
    debug: () => undefined,
    info: () => undefined,
    warn: (line: string) => lines.push(line),
    error: (line: string) => lines.push(line),
  };

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'podrelay-demo-'));
    mkdirSync(path.join(folder, 'dist', 'sim'), { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
    ended = 0;
    lines = [];
  });
  afterEach(() => {
    demo?.dispose();
    demo = undefined;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  async function start(program: string): Promise<Demo> {
    writeFileSync(path.join(folder, 'dist', 'sim', 'cli.js'), program);
    const options = { extensionPath: folder, storageFolder: folder, log, onDidEnd: () => void ended++ };
    return (demo = await startDemo(options, AbortSignal.timeout(20_000)));
  }

  it('that ends before it has started has failed to start, and no demo has ended', async () => {
    await assert.rejects(start('process.exit(3)'), /could not start: it ended with 3/);
    assert.equal(ended, 0);
  });

  it('that ends later is told of once, and what was asked of it fails', async () => {
    const running = await start(`${greet} process.stdin.once('data', () => process.exit(4));`);
    await assert.rejects(running.setLocal(false), /it ended with 4/);
    assert.equal(ended, 1);
  });

  it('may print what is none of its lines', async () => {
    const running = await start(
      `console.log('(node) a warning'); console.log('{"a":1}'); ${greet}
       process.stdin.on('data', (line) => { console.log('null'); console.log(JSON.stringify({ id: JSON.parse(line).id })); });`,
    );
    await running.setCloud(true);
    assert.equal(lines.length, 3);
  });
});
