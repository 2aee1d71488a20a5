import { Random } from './random.ts';

/** A job to come. */
export interface Arrival {
  readonly atMs: number;
  readonly fingerprint: string;
  /** Seconds on a GPU of speed 1. */
  readonly work: number;
}

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** What people run: an image of half a minute, a detailed one of a minute, a video of five, on a card of speed 1. */
const kinds: readonly (readonly [string, number])[] = [
  ['image', 30],
  ['image', 30],
  ['image', 30],
  ['detail', 60],
  ['video', 300],
];

function arrival(random: Random, atMs: number): Arrival {
  const [fingerprint, work] = random.pick(kinds);
  return { atMs: Math.round(atMs), fingerprint, work };
}

function burst(random: Random, atMs: number, count: number): readonly Arrival[] {
  return Array.from({ length: count }, () => arrival(random, atMs + random.between(0, 20_000)));
}

/** Batches at a few moments of a working day, most of them typed in one go; nothing at night. */
export function burstyDay(seed: number, bursts = 7): readonly Arrival[] {
  const random = new Random(seed);
  const found: Arrival[] = [];
  for (let index = 0; index < bursts; index++) {
    const atMs = random.between(9 * hourMs, 19 * hourMs);
    found.push(...burst(random, atMs, Math.round(random.between(5, 50))));
  }
  return inOrder(found);
}

/** One job every so often, all day and night. */
export function steadyDay(seed: number, everyMs = 240_000): readonly Arrival[] {
  const random = new Random(seed);
  return Array.from({ length: Math.floor(dayMs / everyMs) }, (_, index) => arrival(random, index * everyMs));
}

export function poisson(seed: number, meanMs: number, lengthMs = dayMs): readonly Arrival[] {
  const random = new Random(seed);
  const found: Arrival[] = [];
  for (let atMs = random.exponential(meanMs); atMs < lengthMs; atMs += random.exponential(meanMs)) {
    found.push(arrival(random, atMs));
  }
  return found;
}

/** Busy from 8 to 22, with a rare job at night. */
export function nightIdleDay(seed: number): readonly Arrival[] {
  const random = new Random(seed);
  const all = poisson(seed, 200_000);
  return all.filter(({ atMs }) => (atMs >= 8 * hourMs && atMs < 22 * hourMs) || random.chance(0.02));
}

function inOrder(arrivals: readonly Arrival[]): readonly Arrival[] {
  return [...arrivals].sort((a, b) => a.atMs - b.atMs);
}
