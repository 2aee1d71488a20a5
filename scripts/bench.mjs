// `npm run bench`: installs what is missing and measures. `npm run bench -- NAME …` measures some.
import { spawnSync } from 'node:child_process';
import { ensureToolchain, root } from './bootstrap.mjs';

await ensureToolchain();
const args = ['bench/run.ts', ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
process.exitCode = status ?? 1;
