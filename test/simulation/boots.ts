import { newestQuantile } from '../../src/core/queue/measurements.ts';
import type { Machine } from './machine.ts';
import { keyOf } from './market.ts';
import type { Offer, Weather } from './market.ts';

/** What boots took, and what the next one is taken to take: what three of four stayed under. */
export class Boots {
  readonly all: number[] = [];
  readonly #weather: Weather;
  readonly #seconds = new Map<string, number[]>();

  constructor(weather: Weather) {
    this.#weather = weather;
  }

  note(offer: Offer, isFirst: boolean, seconds: number): void {
    const name = nameOf(offer, isFirst);
    this.#seconds.set(name, [...(this.#seconds.get(name) ?? []), seconds]);
    this.all.push(seconds);
  }

  ofNew(offer: Offer): number {
    return this.#predicted(offer, true);
  }

  /** Of the boot under way, or of the next one. */
  of(machine: Machine): number {
    const { offer, phase, bootSeconds } = machine;
    const isFirst = phase === 'booting' && bootSeconds > offer.bootSeconds.again * this.#weather.slowBoot;
    return this.#predicted(offer, isFirst);
  }

  left(machine: Machine, nowMs: number): number {
    if (machine.phase !== 'booting') return 0;
    return Math.max(5, this.of(machine) - (nowMs - machine.sinceMs) / 1_000);
  }

  #predicted(offer: Offer, isFirst: boolean): number {
    return newestQuantile(this.#seconds.get(nameOf(offer, isFirst)) ?? [], 0.75, isFirst ? 240 : 120);
  }
}

function nameOf(offer: Offer, isFirst: boolean): string {
  return `${isFirst ? 'new' : 'again'} ${keyOf(offer)}`;
}
