import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureServerHost } from '../test/host/runner/installServerHost.ts';
import { startServerHost } from '../test/host/runner/serverHost.ts';
import { visitWorkbench } from '../test/journeys/workbench.ts';
import type { Workbench } from '../test/journeys/workbench.ts';
import type { Bench } from './measurement.ts';

const root = path.resolve(import.meta.dirname, '..');
const windows = 10;

/** VS Code's own figure for the installed package: loading its code, and its activate(). One new extension host each. */
export const activation: Bench = {
  name: 'activation',
  async measure() {
    const folder = mkdtempSync(path.join(tmpdir(), 'podrelay-bench-'));
    const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })];
    try {
      const vsix = path.join(folder, 'podrelay.vsix');
      const made = spawnSync(process.execPath, ['scripts/package.mjs', '--out', vsix], { cwd: root, encoding: 'utf8' });
      if (made.status !== 0) throw new Error(made.stdout + made.stderr);
      const server = await startServerHost({
        entry: ensureServerHost(path.join(root, '.vscode-test')),
        env: process.env,
        settings: { 'git.enabled': false },
        workspaceTrust: false,
        install: vsix,
      });
      undo.push(() => server.close());
      const workbench = await visitWorkbench(server.address({ folder }), folder);
      undo.push(() => workbench.close());
      // The list of extensions draws only the rows that are on the screen.
      await workbench.page.setViewportSize({ width: 1_280, height: 3_000 });
      const samples: number[] = [];
      for (let window = 0; window < windows; window++) {
        if (window > 0) await workbench.reload();
        samples.push(await activationMs(workbench));
      }
      return [{ what: 'activation in VS Code', judge: 'median', under: 30, unit: 'ms', samples }];
    } finally {
      for (const step of undo.reverse()) await step();
    }
  },
};

/** As the editor 'Running Extensions' shows it. */
async function activationMs(workbench: Workbench): Promise<number> {
  await workbench.statusItem().first().waitFor();
  await workbench.command('Developer: Show Running Extensions');
  const row = workbench.page.locator('.runtime-extensions-editor .extension', { hasText: 'PodRelay' }).first();
  return await workbench.until('the time of activation', async () => {
    const text = await row
      .locator('.activation-time')
      .innerText({ timeout: 1_000 })
      .catch(() => '');
    const ms = /(\d+)\s*ms/.exec(text)?.[1];
    return ms === undefined ? undefined : Number(ms);
  });
}
