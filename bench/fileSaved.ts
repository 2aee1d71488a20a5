import { startSimulator } from '../src/sim/simulator.ts';
import { job, openWorld, samplerWorkflow, smallWorkflow } from '../test/contract/world.ts';
import { openWorkbench } from '../test/journeys/workbench.ts';
import type { Bench } from './measurement.ts';

const runs = 30;
const shownRuns = 10;
type Messages = readonly (readonly [string, { readonly timestamp?: number }])[];

/** From the moment at which the server says that it has finished until the file is in the output folder. */
export const fileSaved: Bench = {
  name: 'fileSaved',
  async measure() {
    // In real time, so that the server's time stamps are ours.
    const world = await openWorld({ timeScale: 1 });
    try {
      const samples: number[] = [];
      for (let run = 0; run < runs; run++) {
        await world.core.jobs.run(job(smallWorkflow(run)), () => undefined, world.signal);
        const savedAt = Date.now();
        samples.push(savedAt - (await finishedAt(world.sim.addresses.localComfyUrl)));
      }
      return [{ what: 'server finished: until the file is saved', judge: 'median', under: 100, unit: 'ms', samples }];
    } finally {
      await world.close();
    }
  },
};

/** The same until a person sees it: VS Code has drawn the tab of the picture. The extension is the one in dist/. */
export const fileShown: Bench = {
  name: 'fileShown',
  async measure() {
    const sim = await startSimulator({ timeScale: 1, seed: 1 });
    const undo: (() => unknown)[] = [() => sim.dispose()];
    try {
      const workbench = await openWorkbench({
        workspaceFiles: { 'w.json': JSON.stringify(samplerWorkflow(1, 2)) },
        openFile: 'w.json',
        machineSettings: { 'podrelay.local.url': sim.addresses.localComfyUrl },
      });
      undo.push(() => workbench.close());
      await workbench.page.evaluate(noteTabs);
      const samples: number[] = [];
      for (let run = 0; run <= shownRuns; run++) {
        await workbench.command(run === 0 ? 'PodRelay: Run Workflow' : 'PodRelay: Repeat Last');
        const at = await workbench.until(
          'the picture',
          () => workbench.page.evaluate<number | undefined>(`globalThis.drawn[${run}]`),
          60_000,
        );
        // The first one loads what shows pictures.
        if (run > 0) samples.push(at - (await finishedAt(sim.addresses.localComfyUrl)));
      }
      const what = 'server finished: until VS Code shows the file';
      return [{ what, judge: 'median', under: 100, unit: 'ms', samples }];
    } finally {
      for (const step of undo.reverse()) await step();
    }
  },
};

/** Runs in the page: notes when the tab of each picture is drawn, in `drawn`, ms since the epoch. */
const noteTabs = `
  const seen = new Set();
  globalThis.drawn = [];
  new MutationObserver(() => {
    for (const tab of document.querySelectorAll('.tab[data-resource-name$=".png"]')) {
      const name = tab.getAttribute('data-resource-name');
      if (!seen.has(name)) globalThis.drawn.push(Date.now());
      seen.add(name);
    }
  }).observe(document.body, { childList: true, subtree: true, attributes: true });
`;

/** Of the newest prompt, ms since the epoch. */
async function finishedAt(comfyUrl: string): Promise<number> {
  const reply = await fetch(`${comfyUrl}/history?max_items=1`);
  const entries = Object.values((await reply.json()) as Record<string, { status: { messages: Messages } }>);
  const stamps = entries.flatMap(({ status }) =>
    status.messages
      .filter(([name]) => name === 'execution_success')
      .map(([, { timestamp }]) => timestamp ?? Number.NaN),
  );
  return Math.max(...stamps);
}
