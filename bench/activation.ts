import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureServerHost } from '../test/host/runner/installServerHost.ts';
import { installPackage, startServerHost } from '../test/host/runner/serverHost.ts';
import { visitWorkbench } from '../test/journeys/workbench.ts';
import type { Workbench } from '../test/journeys/workbench.ts';
import type { Bench } from './measurement.ts';

const root = path.resolve(import.meta.dirname, '..');
const windows = 10;

/**
 * The installed package, in ten new extension hosts. VS Code's own figure, of 'Running Extensions', begins before it asks
 * whether texts are to be translated: it then lets other extensions start, so theirs count in ours. Its marks tell what is
 * ours: reading and running our code, and activate().
 */
export const activation: Bench = {
  name: 'activation',
  async measure() {
    const folder = mkdtempSync(path.join(tmpdir(), 'podrelay-bench-'));
    const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })];
    try {
      const vsix = path.join(folder, 'podrelay.vsix');
      node([path.join(root, 'scripts', 'package.mjs'), '--out', vsix], root);
      const entry = ensureServerHost(path.join(root, '.vscode-test'));
      const dataFolder = path.join(folder, 'data');
      const meter = makeMeter(path.join(folder, 'meter'));
      installPackage(entry, meter.vsix, dataFolder);
      const server = await startServerHost({
        entry,
        dataFolder,
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
      const own: number[] = [];
      const shown: number[] = [];
      for (let window = 0; window < windows; window++) {
        if (window > 0) await workbench.reload();
        shown.push(await shownMs(workbench));
        own.push(await ownMs(workbench, meter));
      }
      const target = { judge: 'median', under: 30, unit: 'ms' } as const;
      return [
        { what: 'activation in VS Code: our code', ...target, samples: own },
        { what: 'activation as VS Code shows it, other extensions within', ...target, samples: shown },
      ];
    } finally {
      for (const step of undo.reverse()) await step();
    }
  },
};

/** As the editor 'Running Extensions' shows it. */
async function shownMs(workbench: Workbench): Promise<number> {
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

interface Meter {
  readonly vsix: string;
  /** Where its command writes the marks that the extension host has set. */
  readonly marksFile: string;
}

const meterCommand = 'Bench: Write Performance Marks';

/** An extension for the bench alone, which does not start before it is asked. */
function makeMeter(folder: string): Meter {
  const marksFile = path.join(folder, 'marks.json');
  const vsix = path.join(folder, 'meter.vsix');
  mkdirSync(folder, { recursive: true });
  const manifest = {
    ...{ name: 'meter', publisher: 'bench', version: '1.0.0', engines: { vscode: '^1.106.0' }, main: './main.cjs' },
    contributes: { commands: [{ command: 'meter.write', title: meterCommand }] },
  };
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(path.join(folder, 'README.md'), 'Writes the marks that VS Code sets while extensions start.');
  writeFileSync(
    path.join(folder, 'main.cjs'),
    `exports.activate = ({ subscriptions }) => subscriptions.push(
      require('vscode').commands.registerCommand('meter.write', () =>
        require('node:fs').writeFileSync(${JSON.stringify(marksFile)}, JSON.stringify(MonacoPerformanceMarks.getMarks()))));`,
  );
  const vsce = path.join(root, 'node_modules', '@vscode', 'vsce', 'vsce');
  node([vsce, 'package', '--no-dependencies', '--allow-missing-repository', '--skip-license', '--out', vsix], folder);
  return { vsix, marksFile };
}

async function ownMs(workbench: Workbench, { marksFile }: Meter): Promise<number> {
  rmSync(marksFile, { force: true });
  await workbench.command(meterCommand);
  const marks = await workbench.until('the marks of the extension host', () =>
    Promise.resolve(existsSync(marksFile) ? readMarks(marksFile) : undefined),
  );
  const at = (name: string): number => marks.get(`code/extHost/${name}/podrelay.podrelay`) ?? Number.NaN;
  return (
    at('didLoadExtensionCode') - at('willLoadExtensionCode') + at('didActivateExtension') - at('willActivateExtension')
  );
}

function readMarks(file: string): ReadonlyMap<string, number> | undefined {
  try {
    const marks = JSON.parse(readFileSync(file, 'utf8')) as { name: string; startTime: number }[];
    return new Map(marks.map(({ name, startTime }) => [name, startTime]));
  } catch {
    return undefined; // Not written to its end yet.
  }
}

function node(args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(stdout + stderr);
}
