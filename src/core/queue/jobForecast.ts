import type { BackendStatus } from '../backends/backendManager.ts';
import type { JobForecast } from '../routing/route.ts';
import type { Fingerprint } from './fingerprint.ts';
import { predict } from './measurements.ts';
import type { SpeedBook } from './measurements.ts';
import type { QueuePrice } from './queueRules.ts';
import { gpuOf, transferSeconds } from './queueScene.ts';

export interface ForecastScene {
  readonly book: SpeedBook;
  readonly loadedOn: (backend: string) => readonly string[];
  readonly loadSeconds: (gpu: string) => number;
  /** Of this job there. */
  readonly price: QueuePrice;
}

/** What a job takes on a backend that is free, from sending it to having its files, and what that costs. Pure. */
export function forecastJob(
  { key, models }: Fingerprint,
  status: Pick<BackendStatus, 'backend' | 'health'>,
  { book, loadedOn, loadSeconds, price }: ForecastScene,
): JobForecast {
  const { id, tier } = status.backend;
  const gpu = gpuOf(status);
  const { seconds } = predict(book, key, gpu);
  const has = loadedOn(id);
  const load = tier === 'gemini' || models.every((model) => has.includes(model)) ? 0 : loadSeconds(gpu);
  return {
    seconds: load + seconds + transferSeconds[tier],
    micros: Math.round((seconds * price.usdPerHourMicros) / 3_600 + price.microsPerJob),
  };
}
