import type { FleetPolicy } from '../../src/core/fleet/fleetScene.ts';
import type { Machine } from './machine.ts';

/** What must hold at every moment, watched while a day is played. */
export class Promises {
  readonly broken: string[] = [];
  readonly #policy: FleetPolicy;
  #mostPods = 0;
  #lastIdleStop: { atMs: number; gpu: string } | undefined;
  #newestWorkMs = Number.NEGATIVE_INFINITY;

  constructor(policy: FleetPolicy) {
    this.#policy = policy;
  }

  get mostPods(): number {
    return this.#mostPods;
  }

  note(sentence: string): void {
    this.broken.push(sentence);
  }

  noteWork(atMs: number): void {
    this.#newestWorkMs = atMs;
  }

  /** A pod of this kind is stopped for lack of work, as was decided then. */
  noteIdleStop(atMs: number, gpu: string): void {
    this.#lastIdleStop = { atMs, gpu };
  }

  checkCaps(machines: readonly Machine[]): void {
    const { maxPods, maxUsdPerHourMicros } = this.#policy;
    const active = machines.filter(
      ({ kind, phase }) => kind === 'ours' && phase !== 'stopped' && phase !== 'gone' && phase !== 'failed',
    );
    this.#mostPods = Math.max(this.#mostPods, active.length);
    if (active.length > maxPods) this.note(`${active.length} pods run, ${maxPods} are allowed`);
    const usdPerHourMicros = active.reduce((sum, machine) => sum + machine.usdPerHourMicros, 0);
    if (usdPerHourMicros > maxUsdPerHourMicros) this.note(`${usdPerHourMicros} micro-dollars per hour`);
  }

  /** A pod of this kind is being started. */
  checkFlapping(gpu: string, nowMs: number): void {
    const stopped = this.#lastIdleStop;
    if (stopped?.gpu !== gpu || this.#policy.warmPods > 0) return;
    const soon = nowMs - stopped.atMs < this.#policy.restSeconds * 1_000;
    if (soon && this.#newestWorkMs <= stopped.atMs) this.note(`${gpu} started again without new work`);
  }
}
