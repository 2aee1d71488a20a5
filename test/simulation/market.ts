import type { Cloud } from '../../src/core/runpod/gpuType.ts';
import { hourMs } from './traces.ts';

/** A GPU type as a seller offers it. Times in ms from the start of the simulation. */
export interface Offer {
  readonly gpu: string;
  readonly cloud: Cloud;
  /** Seconds of work per second; the jobs' `work` is in seconds of speed 1. */
  readonly speed: number;
  readonly usdPerHour: number;
  /** First boot of an image on a machine, and a later one. */
  readonly bootSeconds: { readonly first: number; readonly again: number };
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What may go wrong, and when. */
export interface Weather {
  /** RunPod's API does not answer. */
  readonly outages: readonly Span[];
  /** Nothing of these GPUs is to be had. */
  readonly droughts: readonly (Span & { readonly gpus: readonly string[] })[];
  /** From then on everything new costs so many times the usual price. */
  readonly priceJumps: readonly (Span & { readonly times: number })[];
  /** Share of starts of stopped pods that come back without a GPU. */
  readonly zeroGpuShare: number;
  /** Share of starts of stopped pods that RunPod refuses: the host is full. */
  readonly refusedShare: number;
  /** Share of runs in which the pod dies. */
  readonly deathShare: number;
  /** Boots take up to so many times their usual time. */
  readonly slowBoot: number;
}

export const fairWeather: Weather = {
  outages: [],
  droughts: [],
  priceJumps: [],
  zeroGpuShare: 0,
  refusedShare: 0,
  deathShare: 0,
  slowBoot: 1.25,
};

const comfyBoot = { first: 240, again: 90 };

/** Prices and speeds as they are about; what counts is their relation. */
export const offers: readonly Offer[] = [
  { gpu: 'RTX A4000', cloud: 'COMMUNITY', speed: 0.55, usdPerHour: 0.17, bootSeconds: comfyBoot },
  { gpu: 'RTX 3090', cloud: 'COMMUNITY', speed: 1, usdPerHour: 0.22, bootSeconds: comfyBoot },
  { gpu: 'RTX 4090', cloud: 'COMMUNITY', speed: 2, usdPerHour: 0.34, bootSeconds: comfyBoot },
  { gpu: 'H100 PCIe', cloud: 'SECURE', speed: 3, usdPerHour: 2.39, bootSeconds: comfyBoot },
];

export function keyOf(offer: Offer): string {
  return `${offer.gpu} ${offer.cloud}`;
}

export function within(spans: readonly Span[], nowMs: number): boolean {
  return spans.some(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs);
}

export function priceMicros(offer: Offer, weather: Weather, nowMs: number): number {
  const times = weather.priceJumps.filter((jump) => within([jump], nowMs)).reduce((all, { times }) => all * times, 1);
  return Math.round(offer.usdPerHour * times * 1_000_000);
}

export function inStock(offer: Offer, weather: Weather, nowMs: number): boolean {
  return !weather.droughts.some((drought) => within([drought], nowMs) && drought.gpus.includes(offer.gpu));
}

/** `hours` 2 to 5 of a day as a span. */
export function hours(from: number, to: number): Span {
  return { fromMs: from * hourMs, toMs: to * hourMs };
}
