import type * as vscode from 'vscode';
import type { BackendManager } from '../core/backends/backendManager.ts';
import type { Budgets } from '../core/cost/budgets.ts';
import type { BillComparison } from '../core/cost/compareBill.ts';
import type { Fleet } from '../core/fleet/fleet.ts';
import type { PodService } from '../core/fleet/podService.ts';
import type { JobRunner } from '../core/jobs/jobRunner.ts';
import type { JobRecovery } from '../core/jobs/recoverJobs.ts';
import type { KeyRing } from '../core/keyRing.ts';
import type { Core } from '../core/createCore.ts';
import type { Event } from '../core/kernel/event.ts';
import type { Clock, Log } from '../core/kernel/ports.ts';
import type { EndpointService } from '../core/serverless/endpointService.ts';
import type { QueueService } from '../core/queue/queueView.ts';
import type { Settings } from '../core/settings.ts';
import type { JobReports } from '../core/store/jobReports.ts';
import type { DemoSwitch } from './commands/demoCommands.ts';
import type { KeyChangeServices } from './commands/keyCommandsAsk.ts';
import type { PodCommandServices } from './commands/podCommands.ts';
import type { Spending } from './moneySnapshot.ts';
import type { OutputsSlot } from './outputs/outputsSlot.ts';
import type { ViewMemory } from './trees/podLayout.ts';

/** What the user interface is made over. */
export interface UiServices {
  readonly keys: KeyRing;
  /** The person's own keys, whatever the place. */
  readonly keyStorage: KeyChangeServices['storage'];
  readonly checkKey: KeyChangeServices['checkKey'];
  readonly pods: PodService;
  readonly fleet: Fleet;
  readonly gpuTypes: PodCommandServices['gpuTypes'];
  /** The pod that runs jobs; undefined = none is configured. */
  readonly podId: () => string | undefined;
  readonly choosePod: (podId: string | undefined) => Promise<void>;
  readonly endpoints: EndpointService;
  /** Serverless endpoints that get jobs. */
  readonly endpointIds: () => readonly string[];
  readonly chooseEndpoints: (endpointIds: readonly string[]) => Promise<void>;
  readonly backends: BackendManager;
  /** Jobs of this window that use the pod, or wait for it. */
  readonly jobsOn: (podId: string) => number;
  readonly jobs: JobRunner;
  readonly recovery: JobRecovery;
  /** The jobs of all windows. */
  readonly queue: QueueService;
  readonly jobReports: JobReports;
  readonly predictBatch: Core['predictBatch'];
  readonly choice: Core['choice'];
  /** False on a machine where PodRelay has done nothing yet. */
  readonly hasRecords: () => boolean;
  readonly ledger: Spending;
  readonly budgets: Budgets;
  /** RunPod's bill of so many days, today included, beside the ledger. */
  readonly compareBill: (days: number, signal: AbortSignal) => Promise<BillComparison>;
  readonly settings: () => Settings;
  /** Settings, keys or addresses changed. */
  readonly onDidChangeSetup: Event<unknown>;
  readonly demo: DemoSwitch;
  /** Empty = none. */
  readonly localComfyUrl: () => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly channel: vscode.LogOutputChannel;
  /** What this workspace remembers. */
  readonly memory: ViewMemory;
  /** Takes keys out of a text. */
  readonly redact: (text: string) => string;
  readonly extension: vscode.Extension<unknown>;
  /** The last lines of the log, without secrets. */
  readonly recentLines: () => readonly string[];
  readonly outputs: OutputsSlot;
  readonly outputFolder: () => string;
}
