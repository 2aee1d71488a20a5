// Runs test/host in a real VS Code, whichever this machine has. Counts come from the reporter inside that VS Code.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
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

// Stands where all services would be, from before VS Code starts: the tests ask it whether anybody came before them.
const seen = { connections: 0, requests: 0 };
const outside = createServer((_request, response) => {
  seen.requests += 1;
  response.end(JSON.stringify(seen));
});
outside.on('connection', () => (seen.connections += 1));
await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
const outsideUrl = `http://127.0.0.1:${String((outside.address() as AddressInfo).port)}`;
const settings = {
  'git.enabled': false,
  'podrelay.local.url': outsideUrl,
  'podrelay.runpod.apiUrl': `${outsideUrl}/v2`,
  'podrelay.runpod.proxyUrl': `${outsideUrl}/{podId}-{port}`,
  'podrelay.runpod.serverlessUrl': `${outsideUrl}/v2`,
  'podrelay.gemini.apiUrl': outsideUrl,
};
writeFileSync(path.join(userData, 'User', 'settings.json'), JSON.stringify(settings));
const keys = { RUNPOD_API_KEY: 'rpa_ofNobody0000', GEMINI_API_KEY: 'AIzaOfNobody0000' };

try {
  const host = await findHost(path.join(root, '.vscode-test'));
  console.log(`  ${host.why}`);
  await runTests({
    vscodeExecutablePath: host.executable,
    extensionDevelopmentPath: root,
    extensionTestsPath: path.join(root, 'out', 'test', 'host', 'index.js'),
    launchArgs: [workspace, '--disable-extensions', `--user-data-dir=${userData}`],
    extensionTestsEnv: { ...process.env, ...keys, PODRELAY_TEST_OUTSIDE: outsideUrl },
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  outside.closeAllConnections();
  outside.close();
  rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
}
