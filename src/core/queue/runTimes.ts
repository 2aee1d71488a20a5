import type { Workflow } from '../comfy/workflow.ts';
import type { JobOutcome } from '../jobs/jobOutcome.ts';
import { toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { RunTimeStore, StoredRun } from '../store/runTimeStore.ts';
import { fingerprintOf } from './fingerprint.ts';
import { newestQuantile, predict, readRuns, weightedMedian } from './measurements.ts';
import type { SpeedBook } from './measurements.ts';

export interface RunTimesOptions {
  readonly store: RunTimeStore;
  readonly clock: Clock;
  readonly log: Log;
  /** The key of a backend's GPU; its own id while that is not known. */
  readonly gpuOf: (backend: string) => string;
}

/** Until anything is measured: a checkpoint from a quick disk. */
const assumedLoadSeconds = 5;
const keptOfAKind = 20;
/** Fewer runs do not tell what is unusual. */
const leastForUsual = 5;

/** What runs have taken, by workflow and GPU, and which models a backend has loaded for us last. */
export class RunTimes {
  readonly #options: RunTimesOptions;
  readonly #loaded = new Map<string, readonly string[]>();
  #runs: StoredRun[] = [];
  #isRead = false;
  #book: SpeedBook | undefined;
  #loads: ReadonlyMap<string, number> | undefined;

  constructor(options: RunTimesOptions) {
    this.#options = options;
  }

  /** Reads what other windows have measured too. Faults: 'io'. */
  async refresh(): Promise<void> {
    this.#runs = [...(await this.#options.store.recent())];
    this.#isRead = true;
    this.#forget();
  }

  get isRead(): boolean {
    return this.#isRead;
  }

  /** As of the last refresh, and with what this window has run since. */
  get book(): SpeedBook {
    return (this.#book ??= readRuns(this.#usable(), this.#options.clock.now()));
  }

  /** Of such a workflow there, measured there or elsewhere; undefined = it has never run. */
  secondsOn(gpu: string, workflow: Workflow): number | undefined {
    const { seconds, basis } = predict(this.book, fingerprintOf(workflow).key, gpu);
    return basis === 'assumed' ? undefined : seconds;
  }

  /** Of the last job of ours there. */
  loadedOn(backend: string): readonly string[] {
    return this.#loaded.get(backend) ?? [];
  }

  /** Seconds that nine of ten runs of a workflow stayed under on that GPU; undefined while too few are measured. */
  usualMost(fingerprint: string, gpu: string): number | undefined {
    const alike = this.#runs.filter((run) => run.fingerprint === fingerprint && run.gpu === gpu);
    if (alike.length < leastForUsual) return undefined;
    return newestQuantile(
      alike.map(({ seconds }) => seconds),
      0.9,
      0,
    );
  }

  loadSeconds(gpu: string): number {
    this.#loads ??= loadTimes(this.#runs);
    return this.#loads.get(gpu) ?? assumedLoadSeconds;
  }

  /** Never throws: a run that is not measured is no failure. */
  async note({ request, backend, tier, gpu, ranMs, ms }: JobOutcome): Promise<void> {
    const { store, clock, log, gpuOf } = this.#options;
    const { key: fingerprint, models } = fingerprintOf(request.workflow);
    const before = this.loadedOn(backend);
    const cold = !models.every((model) => before.includes(model));
    if (models.length > 0) this.#loaded.set(backend, models);
    // A service that tells nothing of its line is measured as a whole.
    const took = ranMs ?? (tier === 'gemini' ? ms : undefined);
    if (took === undefined || took <= 0) return;
    const known = gpuOf(backend);
    const run: StoredRun = {
      fingerprint,
      gpu: known === backend && !backend.startsWith('endpoint:') ? (gpu ?? backend) : known,
      seconds: took / 1_000,
      cold,
      atMs: clock.now(),
    };
    this.#add(run);
    try {
      await store.add(run);
    } catch (error) {
      log.debug(`A run time is not on record: ${toFault(error).message}`);
    }
  }

  #add(run: StoredRun): void {
    const alike = this.#runs.filter(({ fingerprint, gpu }) => fingerprint === run.fingerprint && gpu === run.gpu);
    const oldest = alike.length >= keptOfAKind ? alike[0] : undefined;
    this.#runs = [...this.#runs.filter((one) => one !== oldest), run];
    this.#forget();
  }

  #forget(): void {
    this.#book = undefined;
    this.#loads = undefined;
  }

  /** A run that loaded its models counts only while none of its kind did not. */
  #usable(): readonly StoredRun[] {
    const warm = new Set(this.#runs.filter(({ cold }) => !cold).map(kindOf));
    return this.#runs.filter((run) => !run.cold || !warm.has(kindOf(run)));
  }
}

function kindOf({ fingerprint, gpu }: StoredRun): string {
  return `${fingerprint} ${gpu}`;
}

/** By GPU: what a run takes longer that loads its models first. */
function loadTimes(runs: readonly StoredRun[]): ReadonlyMap<string, number> {
  const extras = new Map<string, { value: number; weight: number }[]>();
  for (const alike of Map.groupBy(runs, kindOf).values()) {
    const [cold, warm] = [true, false].map((isCold) => alike.filter((run) => run.cold === isCold).map(weighed));
    const gpu = alike[0]?.gpu;
    if (gpu === undefined || cold?.length === 0 || warm?.length === 0) continue;
    const extra = Math.max(0, weightedMedian(cold ?? []) - weightedMedian(warm ?? []));
    extras.set(gpu, [...(extras.get(gpu) ?? []), { value: extra, weight: 1 }]);
  }
  return new Map([...extras].map(([gpu, values]) => [gpu, weightedMedian(values)]));
}

function weighed({ seconds }: StoredRun): { readonly value: number; readonly weight: number } {
  return { value: seconds, weight: 1 };
}
