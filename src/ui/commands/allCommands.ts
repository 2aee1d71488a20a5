import * as vscode from 'vscode';
import { commands, settingPrefix, viewContainer } from '../../contract.ts';
import { isBilled } from '../../core/cost/podMeter.ts';
import type { Late } from '../../core/kernel/late.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import { costsCommands } from '../costs/costsCommands.ts';
import { fleetCommands } from '../fleet/fleetCommands.ts';
import { insertCommand } from '../insert/insertCommand.ts';
import type { JobStarter } from '../jobs/jobStarter.ts';
import { outputFolderCommand } from '../outputs/revealFile.ts';
import { batchCommands } from '../queue/batchCommands.ts';
import type { BatchNews } from '../queue/batchNews.ts';
import { queueCommands } from '../queue/queueCommands.ts';
import { TextDocuments } from '../queue/textDocuments.ts';
import type { UiServices } from '../uiServices.ts';
import { backendCommands } from './backendCommands.ts';
import { demoCommands } from './demoCommands.ts';
import { endpointCommands } from './endpointCommands.ts';
import type { EndpointControlServices } from './endpointControl.ts';
import { helpCommands } from './helpCommands.ts';
import { jobCommands } from './jobCommands.ts';
import { keyCommands } from './keyCommands.ts';
import { podCommands } from './podCommands.ts';
import type { PodCommandServices } from './podCommands.ts';
import { PodLogs } from './podLogs.ts';
import type { Command } from './runCommand.ts';
import { statusMenu } from './statusMenu.ts';

export interface CommandServices extends UiServices {
  readonly isDemo: boolean;
  readonly hasRunpodKey: () => boolean;
  readonly starter: Late<JobStarter>;
  readonly layout: PodCommandServices['layout'];
  readonly chooseForJobs: PodCommandServices['chooseForJobs'];
  readonly news: BatchNews;
  readonly useEndpoints: EndpointControlServices['useEndpoints'];
}

/** What every command does. Loaded, with all that it imports, when the first one runs. */
export function allCommands(services: CommandServices, life: Lifetime): Promise<readonly Command[]> {
  const { backends, demo, jobs, pods } = services;
  const documents = new TextDocuments(life);
  const logs = new PodLogs(services, life);
  const billedPods = (): number => (pods.lastSeen?.pods ?? []).filter(isBilled).length;
  return Promise.resolve([
    ...windowCommands(services),
    ...backendCommands(services),
    ...jobCommands(services),
    ...batchCommands({ ...services, documents }),
    ...queueCommands({ ...services, documents }),
    outputFolderCommand(services.outputFolder),
    insertCommand(services.outputFolder),
    ...costsCommands(services, life),
    ...helpCommands(services),
    ...demoCommands({
      demo,
      lookAgain: (signal) => Promise.allSettled([backends.checkAll(signal), pods.refresh(signal)]),
    }),
    ...podCommands({ ...services, logs }),
    ...fleetCommands(services, life),
    ...endpointCommands({ ...services, logs }),
    ...keyCommands({ ...services, storage: services.keyStorage }),
    statusMenu({ jobs, billedPods }),
  ]);
}

function windowCommands({ channel }: UiServices): readonly Command[] {
  return [
    {
      id: commands.showLog,
      failure: vscode.l10n.t('The log could not be shown'),
      run: () => Promise.resolve(channel.show()),
    },
    {
      id: commands.showViews,
      failure: vscode.l10n.t('The views could not be shown'),
      run: async () => vscode.commands.executeCommand(`workbench.view.extension.${viewContainer}`),
    },
    {
      id: commands.openSettings,
      failure: vscode.l10n.t('The settings could not be opened'),
      run: async ([query]) =>
        vscode.commands.executeCommand(
          'workbench.action.openSettings',
          settingPrefix + (typeof query === 'string' ? query : ''),
        ),
    },
  ];
}
