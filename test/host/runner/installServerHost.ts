import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** The npm package that carries a VS Code server with the same extension host as the desktop (VS Code 1.139). */
const packageName = 'code-server';
const packageVersion = '4.139.1';

/**
 * The path of the server's entry script below `cacheFolder`, installed there first if it is missing (about 20 s).
 * Not a dependency of the project: who has VS Code never needs it. Throws an Error when npm fails.
 */
export function ensureServerHost(cacheFolder: string): string {
  const home = path.join(cacheFolder, `${packageName}-${packageVersion}`);
  const entry = path.join('node_modules', packageName, 'lib', 'vscode', 'out', 'server-main.js');
  const installed = path.join(home, entry);
  if (existsSync(installed)) return installed;
  console.log(`Installing the VS Code server (${packageName} ${packageVersion}) into ${path.relative('.', home)} …`);
  // Built beside its place and renamed when complete, so an interrupted install is never taken for a whole one.
  const draft = `${home}.${String(process.pid)}`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  try {
    writeFileSync(path.join(draft, 'package.json'), '{ "private": true }\n');
    npm(['install', `${packageName}@${packageVersion}`], draft);
    // Its lock file is out of step with its package.json, so 'npm ci' fails there.
    npm(['install', '--omit=dev', '--no-save'], path.dirname(path.dirname(path.join(draft, entry))));
    if (!existsSync(path.join(draft, entry))) throw new Error(`${packageName} ${packageVersion} has no ${entry}`);
    if (!existsSync(installed)) renameSync(draft, home);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return installed;
}

/** Without install scripts: they compile native modules for minutes, and the server runs without those. */
function npm(args: readonly string[], cwd: string): void {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const cli = process.env.npm_execpath;
  const [command, first] = cli?.endsWith('npm-cli.js') ? [process.execPath, [cli]] : ['npm', []];
  const done = spawnSync(command, [...first, ...args, ...quiet], {
    cwd,
    // The project's own npm settings (such as --omit) ride in npm_config_* variables.
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^npm_config_(omit|include|prefix|global)/i.test(name)),
    ),
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (done.status !== 0) throw new Error(`npm ${args.join(' ')} failed: ${done.error?.message ?? done.stderr.trim()}`);
}
