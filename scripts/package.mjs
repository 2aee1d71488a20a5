// `npm run package`: installs what is missing, builds and makes podrelay.vsix. `-- --out FILE` puts it elsewhere.
// Nothing is fetched but the project's own packages from npm.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { ensureToolchain, root } from './bootstrap.mjs';

await ensureToolchain();

const given = process.argv.indexOf('--out');
const out = given < 0 ? path.join(root, 'podrelay.vsix') : path.resolve(process.argv[given + 1] ?? '');

node('esbuild.mjs', '--production', '--quiet');
// Everything is bundled, so dependencies stay outside; the README's links stay as they are, whoever hosts the project.
node(
  path.join('node_modules', '@vscode', 'vsce', 'vsce'),
  ...['package', '--no-dependencies', '--no-rewrite-relative-links', '--allow-missing-repository', '--out', out],
);

function node(...args) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) process.exit(1);
}
