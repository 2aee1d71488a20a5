import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { build } from 'esbuild';
import { activationBudgetBytes, activationLoad, extensionBundle } from '../scripts/bundles.ts';
import type { Bench } from './measurement.ts';

const root = path.resolve(import.meta.dirname, '..');

export const sizes: Bench = {
  name: 'sizes',
  async measure() {
    const { metafile } = await build({
      ...extensionBundle({ production: true }),
      absWorkingDir: root,
      write: false,
      logLevel: 'silent',
    });
    const activation = activationLoad(metafile);
    return [
      {
        what: 'JavaScript that activation loads',
        judge: 'max',
        under: activationBudgetBytes / 1_000,
        unit: 'kB',
        samples: [activation.bytes / 1_000],
      },
      { what: 'the package (.vsix)', judge: 'max', under: 2_000, unit: 'kB', samples: [packageBytes() / 1_000] },
    ];
  },
};

function packageBytes(): number {
  const folder = mkdtempSync(path.join(tmpdir(), 'podrelay-bench-'));
  try {
    const file = path.join(folder, 'podrelay.vsix');
    const made = spawnSync(process.execPath, ['scripts/package.mjs', '--out', file], { cwd: root, encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stdout + made.stderr);
    return statSync(file).size;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
