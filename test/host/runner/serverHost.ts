import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface ServerHostOptions {
  /** The server's entry script, from `ensureServerHost`. */
  readonly entry: string;
  /** Environment of the server; its extension host inherits it. */
  readonly env: NodeJS.ProcessEnv;
  /** User settings, written before the start; a kept data folder that has settings keeps those. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Machine-scoped settings, which a workspace cannot change. */
  readonly machineSettings?: Readonly<Record<string, unknown>>;
  /** True asks about trust as VS Code does for a person; false trusts every folder. */
  readonly workspaceTrust: boolean;
  /** A folder to keep the server's data in; without it a temporary one is made, and removed by `close`. */
  readonly dataFolder?: string;
  /**
   * What to install as a user's VS Code would have it: a package (.vsix), or a project, of which the parts that its
   * package would contain are copied. Without it the server takes an extension under development from the address, and
   * as a test host it then shows no toasts.
   */
  readonly install?: string;
  /** Taken when it is free. A browser keeps secrets and layout by address, so a person wants the same one each time. */
  readonly preferredPort?: number;
}

/** What the workbench is to show: a folder, a file in its editor, an extension under development and its tests. */
export interface WorkbenchTarget {
  readonly folder: string;
  readonly openFile?: string;
  readonly developmentPath?: string;
  readonly testsPath?: string;
}

export interface ServerHost {
  readonly port: number;
  readonly dataFolder: string;
  /** Resolves with the exit code when the server's process ends, for whatever reason. */
  readonly ended: Promise<number>;
  /** The address that opens the workbench on `target` in a browser. */
  address(target: WorkbenchTarget): string;
  /** Ends the server with all its children and removes its temporary data. May be called twice. */
  close(): Promise<void>;
}

const startTimeoutMs = 60_000;

/** Settings that keep the workbench still: no chat side bar, tips, updates, telemetry or questions on the way. */
const quietSettings: Readonly<Record<string, unknown>> = {
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'git.openRepositoryInParentFolders': 'never',
};

/** Starts a VS Code server on a free loopback port. Resolves when it listens; throws an Error with its output when not. */
export async function startServerHost(options: ServerHostOptions): Promise<ServerHost> {
  const dataFolder = options.dataFolder ?? mkdtempSync(path.join(tmpdir(), 'podrelay-host-'));
  writeSettings(path.join(dataFolder, 'data', 'User'), { ...quietSettings, ...options.settings });
  writeSettings(path.join(dataFolder, 'data', 'Machine'), options.machineSettings ?? {});
  if (options.install?.endsWith('.vsix')) installPackage(options.entry, options.install, dataFolder);
  else if (options.install !== undefined) installProject(options.install, path.join(dataFolder, 'extensions'));
  const port = await freePort(options.preferredPort ?? 0).catch(() => freePort(0));
  const child = spawn(process.execPath, serverArgs(options, port, dataFolder), {
    env: cleanEnvironment(options.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that its extension hosts and watchers can be ended with it.
    detached: process.platform !== 'win32',
  });
  const ended = new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
  const removeData = () => {
    if (options.dataFolder === undefined) rmSync(dataFolder, { recursive: true, force: true, maxRetries: 5 });
  };
  // For a process that ends without closing: a signal, a failed assertion, a library's own exit.
  const endNow = () => {
    endGroup(child, 'SIGKILL');
    removeData();
  };
  process.once('exit', endNow);
  const close = async () => {
    endGroup(child, 'SIGTERM');
    const patience = setTimeout(() => endGroup(child, 'SIGKILL'), 3_000);
    await ended;
    clearTimeout(patience);
    endGroup(child, 'SIGKILL');
    process.removeListener('exit', endNow);
    removeData();
  };
  try {
    await listening(child, ended);
  } catch (error) {
    await close();
    throw error;
  }
  return { port, dataFolder, ended, close, address: (target) => address(port, target) };
}

function serverArgs(options: ServerHostOptions, port: number, dataFolder: string): string[] {
  return [
    options.entry,
    ...['--host', '127.0.0.1', '--port', String(port), '--server-data-dir', dataFolder],
    '--without-connection-token',
    '--accept-server-license-terms',
    // The built workbench takes an extension under development from its address only with this flag.
    ...(options.install === undefined ? ['--enable-smoke-test-driver'] : []),
    '--disable-telemetry',
    '--disable-experiments',
    ...(options.workspaceTrust ? [] : ['--disable-workspace-trust']),
  ];
}

function address(port: number, target: WorkbenchTarget): string {
  const remote = (file: string) => `vscode-remote://127.0.0.1:${String(port)}${posix(file)}`;
  const payload: [string, string][] = [['skipWelcome', 'true']];
  if (target.openFile !== undefined) payload.push(['openFile', remote(target.openFile)]);
  if (target.developmentPath !== undefined) payload.push(['extensionDevelopmentPath', remote(target.developmentPath)]);
  if (target.testsPath !== undefined) payload.push(['extensionTestsPath', remote(target.testsPath)]);
  // Escaped no further than needed: people copy this address out of a terminal.
  const escaped = encodeURIComponent(JSON.stringify(payload)).replaceAll(/%(3A|2F|2C)/g, (code) =>
    decodeURIComponent(code),
  );
  const query = `folder=${encodeURI(posix(target.folder))}&payload=${escaped}`;
  return `http://127.0.0.1:${String(port)}/?${query}`;
}

function posix(file: string): string {
  const forward = file.split(path.sep).join('/');
  return forward.startsWith('/') ? forward : `/${forward}`;
}

function writeSettings(folder: string, settings: Readonly<Record<string, unknown>>): void {
  const file = path.join(folder, 'settings.json');
  if (existsSync(file)) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, JSON.stringify(settings, null, 2));
}

/** By the server's own command line. Throws an Error with what it printed. */
export function installPackage(entry: string, file: string, dataFolder: string): void {
  const args = [entry, '--install-extension', file, '--server-data-dir', dataFolder, '--accept-server-license-terms'];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  // It ends with 0 in either case.
  if (!stdout.includes('was successfully installed')) {
    throw new Error(`${path.basename(file)} could not be installed (${String(status)}):\n${stdout}${stderr}`);
  }
}

const packaged = ['package.json', 'package.nls.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'dist', 'media'];

/** Copies, and never links: a VS Code that uninstalls or updates an extension deletes its folder. */
function installProject(project: string, extensionsFolder: string): void {
  const { publisher, name, version } = JSON.parse(readFileSync(path.join(project, 'package.json'), 'utf8')) as Manifest;
  const id = `${publisher}.${name}`;
  const folder = path.join(extensionsFolder, `${id}-${version}`);
  rmSync(folder, { recursive: true, force: true });
  for (const part of packaged) {
    const from = path.join(project, part);
    if (existsSync(from)) cpSync(from, path.join(folder, part), { recursive: true });
  }
  const listed = {
    identifier: { id },
    version,
    location: { $mid: 1, scheme: 'file', path: posix(folder) },
    relativeLocation: path.basename(folder),
    metadata: { source: 'vsix', pinned: true },
  };
  writeFileSync(path.join(extensionsFolder, 'extensions.json'), JSON.stringify([listed]));
}

interface Manifest {
  readonly publisher: string;
  readonly name: string;
  readonly version: string;
}

/** A VS Code or debugger around us must not leak into the server's own processes. */
function cleanEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$|NODE_INSPECT)/.test(name)),
  );
}

/** A port that is free now. The server takes no port 0, so another process could still be quicker; its start then fails. */
function freePort(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(wanted, '127.0.0.1', () => {
      const bound = probe.address();
      probe.close(() => {
        if (bound !== null && typeof bound === 'object') resolve(bound.port);
        else reject(new Error('No free port on 127.0.0.1'));
      });
    });
  });
}

async function listening(child: ChildProcess, ended: Promise<number>): Promise<void> {
  let output = '';
  let timer: NodeJS.Timeout | undefined;
  const heard = new Promise<void>((resolve) => {
    const read = (chunk: Buffer) => {
      if (output.length < 20_000) output += chunk.toString('utf8');
      if (output.includes('Extension host agent listening on')) resolve();
    };
    // The listeners stay for the whole run: a full pipe would stop the server.
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
  });
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`The VS Code server did not listen within ${String(startTimeoutMs / 1000)} s:\n${output}`));
    }, startTimeoutMs);
  });
  const died = ended.then((code) => {
    throw new Error(`The VS Code server ended with code ${String(code)}:\n${output}`);
  });
  died.catch(() => undefined);
  try {
    await Promise.race([heard, late, died]);
  } finally {
    clearTimeout(timer);
  }
}

function endGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // Gone already.
  }
}
