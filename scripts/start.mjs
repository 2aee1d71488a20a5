// `npm start`: installs what is missing, builds, and opens VS Code with the extension and a sample workflow. Without a
// desktop it starts the VS Code server and prints the address to open in a browser. Ctrl-C ends what it started.
// With PODRELAY_START_CHECK=1 it ends with 0 as soon as the workbench answers.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureToolchain, root } from './bootstrap.mjs';

await ensureToolchain();
build();

const checking = process.env.PODRELAY_START_CHECK === '1';
const cache = path.join(root, '.vscode-test');
const temporary = checking ? mkdtempSync(path.join(tmpdir(), 'podrelay-start-')) : undefined;
// Where the workspace and the settings of this VS Code stay from one start to the next.
const home = temporary ?? process.env.PODRELAY_START_HOME ?? cache;
const preferredPort = 47_180;

const { findHost, hasDisplay } = await import('../test/host/runner/findHost.ts');
const workspace = prepareWorkspace();
const sample = path.join(workspace, 'text-to-image.json');
const host = await findHost(cache);
console.log(host.why);

let stop = () => {};
let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end(0));

try {
  await (host.kind === 'desktop' ? openDesktop() : openServer());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  await end(1);
}

function build() {
  console.log('Building …');
  const built = spawnSync(process.execPath, ['esbuild.mjs', '--quiet'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (built.status !== 0) process.exit(1);
}

/** A workspace of its own with the sample workflows; what a person changed there is left as it is. */
function prepareWorkspace() {
  const folder = path.join(home, 'demo-workspace');
  const samples = path.join(root, 'media', 'samples');
  mkdirSync(folder, { recursive: true });
  for (const name of existsSync(samples) ? readdirSync(samples) : []) {
    const target = path.join(folder, name);
    if (!existsSync(target)) copyFileSync(path.join(samples, name), target);
  }
  return folder;
}

async function openDesktop() {
  const args = [
    workspace,
    ...(existsSync(sample) ? [sample] : []),
    `--extensionDevelopmentPath=${root}`,
    // A profile of its own: a window of an open VS Code would take over otherwise, and this process would end at once.
    `--user-data-dir=${path.join(home, 'desktop-profile')}`,
    '--disable-workspace-trust',
    '--disable-updates',
    '--skip-welcome',
    '--skip-release-notes',
    ...(process.platform === 'linux' && process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ];
  const editor = spawn(host.executable, args, { stdio: 'ignore', shell: host.executable.endsWith('.cmd') });
  const closed = new Promise((resolve, reject) => {
    editor.once('error', reject);
    editor.once('exit', (code) => resolve(code ?? 0));
  });
  stop = async () => {
    editor.kill();
    await closed.catch(() => undefined);
  };
  console.log('VS Code is opening. Click PodRelay in the activity bar, then Try the Demo.');
  if (checking) {
    const early = await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 5_000, 'open'))]);
    await end(early === 'open' ? 0 : 1);
    return;
  }
  await end(await closed);
}

async function openServer() {
  const { ensureServerHost } = await import('../test/host/runner/installServerHost.ts');
  const { startServerHost } = await import('../test/host/runner/serverHost.ts');
  const server = await startServerHost({
    entry: ensureServerHost(cache),
    env: process.env,
    settings: {},
    workspaceTrust: false,
    install: root,
    dataFolder: path.join(home, 'server-data'),
    ...(home === cache ? { preferredPort } : {}),
  });
  stop = () => server.close();
  const openFile = existsSync(sample) ? { openFile: sample } : {};
  const address = server.address({ folder: workspace, ...openFile });
  await answers(address);
  console.log(
    `\nVS Code is ready. Open this address in a browser, click PodRelay in the activity bar, then Try the Demo:\n\n  ${address}\n`,
  );
  if (checking) return await end(0);
  console.log('Ctrl-C ends it.');
  if (hasDisplay()) openBrowser(address);
  const code = await server.ended;
  await end(code);
}

async function answers(address) {
  const reply = await fetch(address, { signal: AbortSignal.timeout(30_000) });
  const page = await reply.text();
  if (!reply.ok || !page.includes('workbench')) throw new Error(`The workbench did not answer: HTTP ${reply.status}`);
}

/** Best effort: the address is printed in any case. */
function openBrowser(address) {
  const [command, args] =
    process.platform === 'darwin'
      ? ['open', [address]]
      : process.platform === 'win32'
        ? ['rundll32', ['url.dll,FileProtocolHandler', address]]
        : ['xdg-open', [address]];
  const opener = spawn(command, args, { stdio: 'ignore', detached: true });
  opener.on('error', () => {});
  opener.unref();
}

async function end(code) {
  if (stopping) return;
  stopping = true;
  await stop();
  if (temporary) rmSync(temporary, { recursive: true, force: true, maxRetries: 5 });
  process.exit(code);
}
