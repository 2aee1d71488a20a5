// The first step of `npm start` and `npm test`. Plain JavaScript without dependencies: on a fresh clone it runs on the
// system's Node (20 or newer) before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const windows = process.platform === 'win32';
const pinnedNode = path.join(root, 'node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
const neededMajor = 24;

/**
 * Installs what package-lock.json names and node_modules lacks, and continues the calling script on Node 24.
 * Resolves only in a process that has both; the process before it waits, passes signals on and takes over the exit code.
 */
export async function ensureToolchain() {
  if (!isInstalled()) install();
  if (major(process.versions.node) < neededMajor) await continueOn(pinnedNode);
  // Shebangs and npm scripts of children find Node 24 and the project's tools first.
  process.env.PATH = [path.join(root, 'node_modules', '.bin'), process.env.PATH].join(path.delimiter);
  process.chdir(root);
}

function major(version) {
  return Number.parseInt(version, 10);
}

/** True when every required package of the lock is in node_modules at its version (npm's hidden lock says what is). */
function isInstalled() {
  const wanted = readLock(path.join(root, 'package-lock.json'));
  const present = readLock(path.join(root, 'node_modules', '.package-lock.json'));
  if (!present) return false;
  const complete =
    !wanted ||
    Object.entries(wanted.packages).every(
      ([place, entry]) => place === '' || entry.optional || present.packages[place]?.version === entry.version,
    );
  return complete && (major(process.versions.node) >= neededMajor || existsSync(pinnedNode));
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function install() {
  const verb = existsSync(path.join(root, 'package-lock.json')) ? 'ci' : 'install';
  console.log(`Installing the project's packages (npm ${verb}), about half a minute …`);
  npm([verb, '--no-audit', '--no-fund', '--loglevel=error', '--include=dev']);
  // The package 'node' fetches its binary in an install script; where npm is set not to run scripts, it is run here.
  if (major(process.versions.node) < neededMajor && !existsSync(pinnedNode)) {
    run(process.execPath, ['installArchSpecificPackage'], path.join(root, 'node_modules', 'node'));
  }
}

function npm(args) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith('npm-cli.js')) run(process.execPath, [cli, ...args], root);
  else run(windows ? 'npm.cmd' : 'npm', args, root);
}

function run(command, args, cwd) {
  const done = spawnSync(command, args, {
    cwd,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: command.endsWith('.cmd'),
  });
  if (done.status !== 0) {
    console.error(
      `'${[path.basename(command), ...args].join(' ')}' failed: ${done.error?.message ?? `exit code ${done.status}`}`,
    );
    process.exit(1);
  }
}

function continueOn(node) {
  if (!existsSync(node)) {
    console.error(
      `Node ${neededMajor} is needed; this is ${process.version} and ${node} is missing. Remove node_modules and try again.`,
    );
    process.exit(1);
  }
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  // This process stays to report how the child ended. A terminal's Ctrl-C reaches both: the child takes a second one calmly.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise(() => {
    child.on('error', (error) => {
      console.error(error.message);
      process.exit(1);
    });
    child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
  });
}
