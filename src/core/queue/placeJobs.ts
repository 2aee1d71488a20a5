import type { Given, WaitingRow } from '../store/scheduleStore.ts';
import { dispatch, durationText, forecast } from './dispatch.ts';
import type { Assignment, DispatchScene, WaitingJob } from './dispatch.ts';
import { choiceOf, workersOf } from './queueScene.ts';
import type { QueueScene } from './queueScene.ts';

/** What one look at the queue and the backends leads to. */
export interface Placement {
  readonly given: readonly Given[];
  /** Why a job waits, by id, a sentence; those that merely wait for their turn are absent. */
  readonly waits: ReadonlyMap<string, string>;
  /** No backend will ever have them, each with the reasons. */
  readonly never: readonly { readonly id: string; readonly why: readonly string[] }[];
  /** A backend has a place that no job of these could have. */
  readonly hasPlaces: boolean;
  /** One of the jobs may be sent beyond this machine. */
  readonly leavesMachine: boolean;
  /** Predicted end by job id, ms since the epoch. */
  readonly finish: () => ReadonlyMap<string, number>;
  /** Of the whole queue, so many jobs in all; undefined = nothing can be said. */
  finishAt(queued: number, nowMs: number): number | undefined;
}

/** Pure. `modelsOf` a fingerprint. */
export function placeJobs(
  waiting: readonly WaitingRow[],
  modelsOf: (fingerprint: string) => readonly string[],
  scene: QueueScene,
): Placement {
  const workers = workersOf(scene);
  const groups: Record<'open' | 'reserve', WaitingJob[]> = { open: [], reserve: [] };
  const waits = new Map<string, string>();
  const never: { id: string; why: readonly string[] }[] = [];
  for (const row of waiting) {
    const choice = choiceOf(row, modelsOf(row.fingerprint), workers, scene);
    if (choice.among === 'never') never.push({ id: row.id, why: choice.why });
    else if (choice.among === 'none') waits.set(row.id, sentence(choice.why));
    else groups[choice.among].push(choice.job);
  }
  const rounds = (['open', 'reserve'] as const).map((among): DispatchScene => {
    const { book, policy } = scene;
    return { jobs: groups[among], workers: workers[among], book, policy };
  });
  const labels = new Map([...workers.open, ...workers.reserve].map(({ id, label }) => [id, label]));
  const given: Given[] = [];
  for (const round of rounds) {
    if (round.jobs.length === 0) continue;
    const { assignments, held, stranded } = dispatch(round);
    for (const assignment of assignments) {
      given.push({ jobId: assignment.jobId, backend: assignment.workerId, why: whyText(assignment, labels) });
    }
    for (const [id, worker] of held)
      waits.set(id, `It ends sooner on ${labels.get(worker) ?? worker}, when that is free`);
    for (const [id, why] of stranded) waits.set(id, sentence(why));
  }
  const free = workers.open.reduce((sum, worker) => sum + (worker.closed === undefined ? worker.freeSlots : 0), 0);
  const finish = (): ReadonlyMap<string, number> =>
    new Map(rounds.flatMap((round) => [...forecast(round)].map(([id, s]) => [id, scene.nowMs + s * 1_000] as const)));
  return {
    given,
    waits,
    never,
    hasPlaces: free > given.filter(({ backend }) => workers.open.some(({ id }) => id === backend)).length,
    leavesMachine: !scene.policy.localOnly && waiting.some(({ localOnly }) => !localOnly),
    finish,
    finishAt: (queued, nowMs) => {
      const ends = [...finish().values()];
      if (ends.length === 0) return undefined;
      // What was not looked at is taken to go on at the same pace.
      return Math.round(nowMs + (Math.max(...ends) - nowMs) * Math.max(1, queued / ends.length));
    },
  };
}

/** The choice, and what each other backend would have been. */
function whyText({ because, others }: Assignment, labels: ReadonlyMap<string, string>): string {
  const told = others.map(({ workerId, finishSeconds, why }) => {
    const label = labels.get(workerId) ?? workerId;
    return `${label} ${finishSeconds === undefined ? `not: ${why ?? 'unknown'}` : durationText(finishSeconds)}`;
  });
  return told.length === 0 ? `${because}.` : `${because}. The others: ${told.join('; ')}.`;
}

function sentence(why: readonly string[]): string {
  return why.length === 0 ? 'No backend is set up' : why.join('; ');
}
