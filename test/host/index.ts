import { readdirSync } from 'node:fs';
import path from 'node:path';
import { format } from 'node:util';
import Mocha from 'mocha';
import { CompactReporter } from '../compactReporter.ts';

/** Called by VS Code's extension host; rejects when a test fails, which becomes VS Code's exit code. */
export async function run(): Promise<void> {
  // The log of an extension host carries finished lines, and VS Code prints much of its own there.
  const mark = process.env.PODRELAY_TEST_MARK ?? '';
  Mocha.reporters.Base.consoleLog = (...args: unknown[]) => console.log(mark + format(...args));
  const mocha = new Mocha({ ui: 'bdd', timeout: 30_000, forbidOnly: true, failZero: true, reporter: CompactReporter });
  const folder = import.meta.dirname;
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    if (name.endsWith('.test.js')) mocha.addFile(path.join(folder, name));
  }
  await mocha.loadFilesAsync();
  const failures = await new Promise<number>((resolve) => {
    mocha.run(resolve);
  });
  if (failures > 0) throw new Error(`${String(failures)} host tests failed`);
}
