import type { JobRunner, RunningJob } from '../jobs/jobRunner.ts';
import { toFault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import type { Disposable } from '../kernel/event.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { ScheduleStore } from '../store/scheduleStore.ts';

export interface RunningReportOptions {
  readonly jobs: Pick<JobRunner, 'running' | 'onDidChange'>;
  readonly store: Pick<ScheduleStore, 'report'>;
  readonly clock: Clock;
  readonly log: Log;
}

const everyMs = 1_000;

/**
 * While jobs run in this window: tells the other windows how far they are, and cancels what somebody there has cancelled.
 * No timer is set while none runs.
 */
export class RunningReport implements Disposable {
  readonly #options: RunningReportOptions;
  readonly #life = new Lifetime();
  /** By job, as last told. */
  #told = new Map<string, string>();
  #isOn = false;

  constructor(options: RunningReportOptions) {
    this.#options = options;
    this.#life.own(options.jobs.onDidChange(() => this.begin()));
    this.begin();
  }

  begin(): void {
    if (this.#isOn || this.#life.signal.aborted || this.#options.jobs.running().length === 0) return;
    this.#isOn = true;
    void this.#rounds(this.#life.signal).finally(() => (this.#isOn = false));
  }

  dispose(): void {
    this.#life.dispose();
  }

  async #rounds(signal: AbortSignal): Promise<void> {
    const { jobs, clock, log } = this.#options;
    for (let failed = false; jobs.running().length > 0;) {
      try {
        await clock.sleep(everyMs, signal);
        await this.#tell(jobs.running());
        failed = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!failed) log.debug(`Other windows do not see the progress: ${toFault(error).message}`);
        failed = true;
      }
    }
  }

  async #tell(running: readonly RunningJob[]): Promise<void> {
    const now = new Map(running.map(({ id, progress }) => [id, progressOf(progress)]));
    const texts = new Map([...now].map(([id, progress]) => [id, JSON.stringify(progress)]));
    const changed = [...now].filter(([id]) => texts.get(id) !== this.#told.get(id));
    this.#told = texts;
    const wanted = new Set(await this.#options.store.report(new Map(changed)));
    for (const job of running) if (wanted.has(job.id)) job.cancel();
  }
}

/** Without the picture. */
export function progressOf({ phase, fraction, node }: RunningJob['progress']): Omit<RunningJob['progress'], 'preview'> {
  return { phase, ...(fraction === undefined ? {} : { fraction }), ...(node === undefined ? {} : { node }) };
}
