import type { JobState } from '../store/jobRecord.ts';

/** A job in the records: 'queued' ones belong to no window yet. */
export type QueueState = 'queued' | JobState;

export const queueStates = ['queued', 'running', 'done', 'failed', 'cancelled', 'lost'] as const;

export type JobEvent =
  /** A window takes it, for one backend. */
  | 'claim'
  /** All its files are saved. */
  | 'finish'
  /** Its second run has saved all its files. */
  | 'finishBySecond'
  /** The fault is its own, or no backend can have it. */
  | 'fail'
  | 'cancel'
  /** What became of it cannot be found out. */
  | 'lose'
  /** It shall be tried again, here or elsewhere: nothing that it has sent can end any more. */
  | 'putBack'
  /** A person wants it once more. */
  | 'retry';

/** From each state, where each event leads. What is not here cannot happen. */
const transitions: Readonly<Record<QueueState, Readonly<Partial<Record<JobEvent, QueueState>>>>> = {
  queued: { claim: 'running', fail: 'failed', cancel: 'cancelled', finishBySecond: 'done' },
  running: {
    finish: 'done',
    finishBySecond: 'done',
    fail: 'failed',
    cancel: 'cancelled',
    lose: 'lost',
    putBack: 'queued',
  },
  done: {},
  failed: { retry: 'queued', finishBySecond: 'done' },
  cancelled: { retry: 'queued' },
  lost: { retry: 'queued', finishBySecond: 'done' },
};

/** The state after the event; undefined = it cannot happen in this state. Pure. */
export function nextState(state: QueueState, event: JobEvent): QueueState | undefined {
  return transitions[state][event];
}

/** The states in which an event can happen. */
export function statesBefore(event: JobEvent): readonly QueueState[] {
  return queueStates.filter((state) => nextState(state, event) !== undefined);
}

/** Nothing happens to it any more unless a person wants it. */
export function hasEnded(state: QueueState): boolean {
  return state !== 'queued' && state !== 'running';
}
