// Runs test/host in a real VS Code, whichever this machine has. Counts come from the reporter inside that VS Code.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runTests } from '@vscode/test-electron';
import { findHost } from './findHost.ts';

const root = path.resolve(import.meta.dirname, '..', '..', '..');
const temporary = mkdtempSync(path.join(tmpdir(), 'podrelay-tests-'));
const workspace = path.join(temporary, 'workspace');
const userData = path.join(temporary, 'user');
mkdirSync(workspace);
mkdirSync(path.join(userData, 'User'), { recursive: true });
writeFileSync(path.join(userData, 'User', 'settings.json'), JSON.stringify({ 'git.enabled': false }));

try {
  const host = await findHost(path.join(root, '.vscode-test'));
  console.log(`  ${host.why}`);
  await runTests({
    vscodeExecutablePath: host.executable,
    extensionDevelopmentPath: root,
    extensionTestsPath: path.join(root, 'out', 'test', 'host', 'index.js'),
    launchArgs: [workspace, '--disable-extensions', `--user-data-dir=${userData}`],
    extensionTestsEnv: process.env,
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
}
