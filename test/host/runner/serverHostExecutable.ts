#!/usr/bin/env node
// Takes VS Code's own flags for extension tests, so @vscode/test-electron's runTests can start it in VS Code's place:
// it opens the workbench of the VS Code server in Chromium and ends with the tests' verdict as its exit code.
import { createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { format } from 'node:util';
import { chromium, type Browser } from 'playwright-core';
import { chromiumArgs, ensureChromium } from './chromium.ts';
import { ensureServerHost } from './installServerHost.ts';
import { startServerHost, type ServerHost } from './serverHost.ts';

const testsTimeoutMs = 300_000;
const flagValue = (name: string) =>
  process.argv.findLast((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);

/** Put before the reporter's lines by test/host/index.ts, to tell them from what the workbench itself logs. */
const reportMark = '[podrelay tests] ';

let server: ServerHost | undefined;
let browser: Browser | undefined;
let ownFolder: string | undefined;

async function runTestsInServer(): Promise<number> {
  const developmentPath = flagValue('extensionDevelopmentPath');
  const testsPath = flagValue('extensionTestsPath');
  if (developmentPath === undefined || testsPath === undefined) {
    throw new Error('--extensionDevelopmentPath=… and --extensionTestsPath=… are needed');
  }
  const folder = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
  ownFolder = folder === undefined ? mkdtempSync(path.join(tmpdir(), 'podrelay-workspace-')) : undefined;
  const settings = userSettings(flagValue('user-data-dir'));
  server = await startServerHost({
    entry: ensureServerHost(path.join(developmentPath, '.vscode-test')),
    env: { ...process.env, PODRELAY_TEST_MARK: reportMark },
    settings,
    // A window on a server takes addresses from here alone.
    machineSettings: settings,
    workspaceTrust: !process.argv.includes('--disable-workspace-trust'),
  });
  browser = await chromium.launch({
    executablePath: ensureChromium(),
    args: [...chromiumArgs],
    // Its own handlers would end this process before the server and its data are cleared away.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  const page = await browser.newPage();
  const verdict = new Promise<number>((resolve, reject) => {
    setTimeout(
      () => reject(new Error(`The tests gave no verdict in ${String(testsTimeoutMs / 1000)} s`)),
      testsTimeoutMs,
    ).unref();
    page.on('crash', () => reject(new Error('The workbench page crashed')));
    void page.exposeFunction('codeAutomationExit', (code: number) => resolve(code)).catch(reject);
  });
  const log = hostLog(developmentPath);
  await page.exposeFunction('codeAutomationLog', (_type: string, args: unknown[]) => {
    const line = format(...args);
    log.write(`${line}\n`);
    if (line.startsWith(reportMark)) console.log(line.slice(reportMark.length));
  });
  await page.goto(server.address({ folder: folder ?? ownFolder ?? '', developmentPath, testsPath }));
  return await Promise.race([verdict, server.ended.then(() => 1)]);
}

/** Everything the workbench and its extension host print, kept for when a run goes wrong. */
function hostLog(developmentPath: string): NodeJS.WritableStream {
  const folder = path.join(developmentPath, 'out', 'reports');
  mkdirSync(folder, { recursive: true });
  return createWriteStream(path.join(folder, 'vscode.log'));
}

function userSettings(userDataFolder: string | undefined): Record<string, unknown> {
  const file = path.join(userDataFolder ?? '', 'User', 'settings.json');
  if (userDataFolder === undefined || !existsSync(file)) return {};
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
}

async function cleanUp(): Promise<void> {
  await browser?.close().catch(() => undefined);
  await server?.close();
  if (ownFolder !== undefined) rmSync(ownFolder, { recursive: true, force: true });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => void cleanUp().finally(() => process.exit(1)));
}
let code = 1;
try {
  code = await runTestsInServer();
  if (code !== 0) console.error('  What VS Code printed is in out/reports/vscode.log');
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
} finally {
  await cleanUp();
}
process.exit(code);
