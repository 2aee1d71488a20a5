import { Emitter } from '../core/kernel/event.ts';
import { late } from '../core/kernel/late.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import { settingRules } from '../core/settings.ts';
import { registerCommands } from './commands/runCommand.ts';
import { registerEditor } from './editor/registerEditor.ts';
import { tellFleet } from './fleet/tellFleet.ts';
import { recoverOnStart } from './jobs/recoverOnStart.ts';
import { tellBudgets } from './costs/budgetNotices.ts';
import { BatchNews } from './queue/batchNews.ts';
import { registerQueueProgress } from './queue/queueProgress.ts';
import { registerStatusBar } from './statusBar.ts';
import { registerBackendsView } from './trees/backendsView.ts';
import { registerJobsView } from './trees/jobsView.ts';
import { PodLayout } from './trees/podLayout.ts';
import { registerPodsView } from './trees/podsView.ts';
import { registerRowDecorations } from './trees/rowDecorations.ts';
import type { UiServices } from './uiServices.ts';

/** Views, commands and the status bar. Registers only: nothing is asked before a view opens or a command runs. */
export function registerUi(services: UiServices, life: Lifetime): void {
  const { backends, demo, jobs, keys, log, settings } = services;
  const hasRunpodKey = (): boolean => keys.has('runpodApiKey');
  const isDemo = demo.control !== undefined;
  const isSetUp = (): boolean =>
    isDemo ||
    hasRunpodKey() ||
    keys.has('geminiApiKey') ||
    settings()['local.url'] !== settingRules['local.url'].fallback;
  const layout = new PodLayout(services.memory, life);
  const forJobsChosen = life.own(new Emitter<void>());
  const chooseForJobs = async (podId: string | undefined): Promise<void> => {
    await services.choosePod(podId);
    backends.reset('cloud');
    forJobsChosen.fire();
    if (podId === undefined) return;
    backends
      .check('cloud', life.signal)
      .catch((error: unknown) => log.debug(`The pod was not checked: ${String(error)}`));
  };
  const useEndpoints = async (endpointIds: readonly string[]): Promise<void> => {
    const before = services.endpointIds();
    await services.chooseEndpoints(endpointIds);
    backends.reset('cloud');
    forJobsChosen.fire();
    for (const id of endpointIds.filter((one) => !before.includes(one))) {
      backends
        .check(`endpoint:${id}`, life.signal)
        .catch((error: unknown) => log.debug(`The endpoint was not checked: ${String(error)}`));
    }
  };
  const starter = late(async () => {
    const { JobStarter } = await import('./jobs/jobStarter.ts');
    return new JobStarter({ jobs, settings, prepare: () => keys.load() });
  });

  const news = new BatchNews(services, life);

  const { allCommands } = late(() => import('./commands/allCommands.ts'));
  registerCommands(
    () => allCommands({ ...services, isDemo, hasRunpodKey, starter, news, layout, chooseForJobs, useEndpoints }, life),
    log,
    life,
  );
  registerRowDecorations(life);
  registerBackendsView({ ...services, isSetUp, prepare: () => keys.load() }, life);
  registerPodsView(
    {
      ...services,
      layout,
      hasRunpodKey,
      onDidChangeKeys: keys.onDidChange,
      onDidChooseForJobs: forJobsChosen.event,
      prepare: () => keys.load(),
    },
    life,
  );
  registerJobsView(services, life);
  services.outputs.attach({ ...services, starter, isDemo }, life);
  registerEditor(services, life);
  registerStatusBar({ ...services, isDemo, isSetUp, hasRunpodKey }, life);
  registerQueueProgress(services, life);
  tellBudgets(services.budgets, log, life);
  tellFleet(services, life);
  // Before anything was done there are no records, and no reason to make some.
  life.own(services.onDidChangeSetup(() => void (services.hasRecords() && services.budgets.refresh())));
  recoverOnStart({ ...services, starter, prepare: () => keys.load() }, life);
  // Which keys are set is asked of the editor, not of the network; until it is known they count as set.
  void keys.load().catch((error: unknown) => log.warn(`The keys could not be read: ${String(error)}`));
}
