import type { Strategy } from '../routing/strategy.ts';
import type { Exclusion } from './afterFault.ts';
import { dispatch } from './dispatch.ts';
import type { WaitingJob, Worker } from './dispatch.ts';
import type { Fingerprint } from './fingerprint.ts';
import { predict } from './measurements.ts';
import type { Prediction } from './measurements.ts';
import { choiceOf, workersOf } from './queueScene.ts';
import type { QueueScene } from './queueScene.ts';

/** What a job would be on one backend. */
export interface BackendOutlook {
  readonly id: string;
  readonly label: string;
  /** From now to the files, what is before it included; undefined = it cannot have the job. */
  readonly seconds: number | undefined;
  /** Undefined = not known: RunPod says no price of a stopped pod. */
  readonly micros: number | undefined;
  readonly basis: Prediction['basis'];
  /** Why it cannot, a clause. */
  readonly why: string | undefined;
}

export interface StrategyChoice {
  readonly strategy: Strategy;
  /** Of 'balanced'; of the others it means nothing. */
  readonly secondsPerUsd: number;
}

export interface StrategyOutlook extends StrategyChoice {
  /** Where the job would go; undefined = nowhere now. */
  readonly backend: BackendOutlook | undefined;
}

export interface Outlook {
  /** In the order of the chain. */
  readonly backends: readonly BackendOutlook[];
  readonly strategies: readonly StrategyOutlook[];
}

/** Where one job would go by each strategy, and what it would be on every backend; `excluded` cannot have it. Pure. */
export function strategyOutlook(
  { key: fingerprint, models }: Fingerprint,
  scene: QueueScene,
  choices: readonly StrategyChoice[],
  excluded: readonly Exclusion[] = [],
): Outlook {
  const row = { id: 'next', priority: 0, place: 0, fingerprint, localOnly: false, excluded, waitsFor: undefined };
  const sorted = workersOf(scene);
  const choice = choiceOf(row, models, sorted, scene);
  const reasons = new Map(excluded.map(({ backend, why }) => [backend, why]));
  const job: WaitingJob = { id: row.id, priority: 0, order: 0, fingerprint, models, excluded: reasons };
  const all = [...sorted.open, ...sorted.reserve];
  const backends = scene.statuses.map(({ backend: { id, label } }): BackendOutlook => {
    const worker = all.find((one) => one.id === id);
    const cannot = reasons.get(id);
    if (worker === undefined || cannot !== undefined) {
      const why = sorted.out.get(id) ?? cannot;
      return { id, label, seconds: undefined, micros: undefined, basis: 'assumed', why };
    }
    return outlookOn(worker, job, scene);
  });
  const among = choice.among === 'open' || choice.among === 'reserve' ? sorted[choice.among] : [];
  const strategies = choices.map((one): StrategyOutlook => {
    const policy = { strategy: one.strategy, secondsPerUsd: one.secondsPerUsd };
    const placed = (workers: readonly Worker[]): string | undefined => {
      const { assignments, held } = dispatch({ jobs: [job], workers, book: scene.book, policy });
      return assignments[0]?.workerId ?? held.get(job.id);
    };
    // When nobody has a free place, it goes to the one that it waits for.
    const id = placed(among) ?? placed(among.map((worker) => ({ ...worker, freeSlots: 1 })));
    return { ...one, backend: backends.find((backend) => backend.id === id) };
  });
  return { backends, strategies };
}

function outlookOn(worker: Worker, job: WaitingJob, { book, statuses }: QueueScene): BackendOutlook {
  const { id, label, gpu, closed } = worker;
  const { basis } = predict(book, job.fingerprint, gpu);
  if (closed !== undefined) return { id, label, seconds: undefined, micros: undefined, basis, why: closed };
  const alone = { ...worker, freeSlots: 1, lastResort: false };
  const policy = { strategy: 'fastest', secondsPerUsd: 0 } as const;
  const [given] = dispatch({ jobs: [job], workers: [alone], book, policy }).assignments;
  const billing = statuses.find(({ backend }) => backend.id === id)?.backend.billing;
  const isPriced = billing !== 'podTime' || worker.usdPerHourMicros > 0;
  return {
    id,
    label,
    seconds: given?.finishSeconds,
    micros: isPriced ? given?.micros : undefined,
    basis,
    why: undefined,
  };
}
