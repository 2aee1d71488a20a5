import { podTimeMicros } from '../../src/core/cost/price.ts';
import { diskMicrosPerHour } from '../../src/core/fleet/podCost.ts';
import type { PodPhase } from '../../src/core/fleet/fleetScene.ts';
import type { Offer } from './market.ts';
import type { Arrival } from './traces.ts';

export interface Job {
  readonly id: string;
  readonly arrival: Arrival;
  readonly order: number;
  /** Arrived, or put back after a death. */
  sinceMs: number;
  firstStartMs: number | undefined;
  endedMs: number | undefined;
  readonly excluded: Map<string, string>;
}

export interface Machine {
  readonly id: string;
  readonly offer: Offer;
  readonly kind: 'ours' | 'foreign' | 'home';
  phase: PodPhase | 'gone';
  sinceMs: number;
  usdPerHourMicros: number;
  bootSeconds: number;
  idleSinceMs: number | undefined;
  /** Bound here: the first one runs. */
  readonly bound: Job[];
  runFromMs: number;
  /** A run's end is of this life only. */
  life: number;
  billedToMs: number;
  gpuMicros: number;
  diskMicros: number;
}

export const disk = { volumeGb: 60, containerDiskGb: 30 };

export function newMachine(
  what: Pick<Machine, 'id' | 'offer' | 'kind' | 'phase' | 'usdPerHourMicros'>,
  nowMs: number,
): Machine {
  return {
    ...what,
    sinceMs: nowMs,
    bootSeconds: 0,
    idleSinceMs: what.phase === 'ready' ? nowMs : undefined,
    bound: [],
    runFromMs: 0,
    life: 0,
    billedToMs: nowMs,
    gpuMicros: 0,
    diskMicros: 0,
  };
}

/** By the second, at the price of the pod, and its disks. */
export function bill(machine: Machine, nowMs: number): void {
  const ms = nowMs - machine.billedToMs;
  machine.billedToMs = nowMs;
  if (machine.kind !== 'ours' || machine.phase === 'gone') return;
  const isStopped = machine.phase === 'stopped';
  if (!isStopped) machine.gpuMicros += podTimeMicros(machine.usdPerHourMicros, ms);
  const status = isStopped ? 'EXITED' : 'RUNNING';
  machine.diskMicros += podTimeMicros(diskMicrosPerHour({ status, ...disk }), ms);
}

/** Another state of it: what was to happen in the last one does not any more. */
export function become(machine: Machine, phase: Machine['phase'], nowMs: number): void {
  bill(machine, nowMs);
  machine.phase = phase;
  machine.life += 1;
  machine.sinceMs = nowMs;
  machine.idleSinceMs = undefined;
}
