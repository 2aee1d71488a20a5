import * as vscode from 'vscode';
import { views } from '../../contract.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';
import type { QueueService } from '../../core/queue/queueView.ts';
import type { JobReports } from '../../core/store/jobReports.ts';
import type { ViewMemory } from '../trees/podLayout.ts';
import { batchNewsText } from './batchNewsText.ts';

export interface BatchNewsServices {
  readonly queue: QueueService;
  readonly jobReports: Pick<JobReports, 'tally' | 'failed'>;
  readonly memory: ViewMemory;
  readonly log: Log;
}

/** What this workspace has queued and has not been told the end of. */
export interface OpenBatch {
  readonly id: string;
  readonly label: string;
}

const memoryKey = 'queue.batches';
/** Batches that nobody was ever told of do not pile up. */
const mostOpen = 50;

/** One message when the last job of a batch has ended, in the window of the workspace that queued it, reloads or not. */
export class BatchNews {
  readonly #services: BatchNewsServices;
  #looking = false;
  #again = false;

  constructor(services: BatchNewsServices, life: Lifetime) {
    this.#services = services;
    life.own(services.queue.onDidChange(() => this.#look()));
  }

  async expect(batch: OpenBatch): Promise<void> {
    await this.#services.memory.update(memoryKey, [...this.#open(), batch].slice(-mostOpen));
  }

  #open(): readonly OpenBatch[] {
    const stored = this.#services.memory.get(memoryKey);
    return Array.isArray(stored) ? stored.filter(isOpenBatch) : [];
  }

  #look(): void {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    this.#tellEnded()
      .catch((error: unknown) => this.#services.log.warn(`The end of a batch was not told: ${toFault(error).message}`))
      .finally(() => {
        this.#looking = false;
        if (!this.#again) return;
        this.#again = false;
        this.#look();
      });
  }

  async #tellEnded(): Promise<void> {
    const { queue, jobReports, memory } = this.#services;
    const { view } = queue;
    if (!view.known) return;
    const { jobs, counts } = view.value;
    const listed = jobs.filter(({ state }) => state === 'queued').length;
    for (const batch of this.#open()) {
      const isAtWork = jobs.some(
        ({ id, secondOf, state }) => isOf(batch, secondOf ?? id) && (state === 'queued' || state === 'running'),
      );
      // Jobs may wait behind the ones that are listed.
      if (isAtWork || counts.queued > listed) continue;
      const tally = await jobReports.tally(batch.id);
      const failed = jobs.find(
        ({ id, state, fault }) => isOf(batch, id) && state !== 'cancelled' && fault !== undefined,
      );
      const news = batchNewsText(batch.label, tally, failed?.fault);
      const isGone = Object.keys(tally.jobs).length === 0;
      if (news === undefined && !isGone) continue;
      await memory.update(
        memoryKey,
        this.#open().filter(({ id }) => id !== batch.id),
      );
      if (news === undefined) continue;
      if (news.isQuiet) vscode.window.setStatusBarMessage(`$(check) ${news.text}`, 6_000);
      else void this.#tell(batch, news.text, news.again);
    }
  }

  async #tell(batch: OpenBatch, text: string, again: number): Promise<void> {
    const { queue, jobReports, log } = this.#services;
    const show = vscode.l10n.t('Show Jobs');
    const retry = vscode.l10n.t('Retry Failed');
    const say = again > 0 ? vscode.window.showWarningMessage : vscode.window.showInformationMessage;
    const chosen = await say(`PodRelay: ${text}.`, ...(again > 0 ? [show, retry] : [show]));
    if (chosen === show) await vscode.commands.executeCommand(`${views.jobs}.focus`);
    if (chosen !== retry) return;
    try {
      await this.expect(batch);
      await queue.retry(await jobReports.failed(batch.id));
    } catch (error) {
      log.error('Failed jobs could not be queued again', error);
    }
  }
}

function isOf(batch: OpenBatch, jobId: string): boolean {
  return jobId.startsWith(`${batch.id}.`);
}

function isOpenBatch(stored: unknown): stored is OpenBatch {
  if (typeof stored !== 'object' || stored === null) return false;
  const { id, label } = stored as Readonly<Record<string, unknown>>;
  return typeof id === 'string' && typeof label === 'string';
}
