import type { GpuCandidate } from '../fleet/rankGpus.ts';
import { gpuKey } from '../queue/gpuSpeed.ts';
import { predict } from '../queue/measurements.ts';
import type { Prediction, SpeedBook } from '../queue/measurements.ts';
import { formatUsd } from './price.ts';

/** What one job takes on a GPU, and what that costs while the pod is at work: boot and idle time come on top. */
export interface GpuAdvice {
  readonly candidate: GpuCandidate;
  readonly seconds: number;
  /** Micro-dollars, not rounded: a thousand jobs may cost less than a cent. */
  readonly microsPerJob: number;
  /** 'scaled' = measured on other GPUs; 'assumed' = the workflow has run nowhere yet. */
  readonly basis: Prediction['basis'];
  /** Runs that it stands on. */
  readonly samples: number;
}

export interface GpuAdviceList {
  /** Best first: in this order they are to be tried. */
  readonly gpus: readonly GpuAdvice[];
  /** Why the first is first, a clause; undefined when there is no choice. */
  readonly because: string | undefined;
}

/** A price per job that is so little above the least is as good: then the quicker GPU is. */
const asCheap = 1.05;
const secondsPerHour = 3_600;

/**
 * Ranks GPUs by dollars per job of one workflow, by our own measurements as far as there are any. The cheapest by the hour
 * is often not the cheapest by the job. Pure.
 */
export function adviseGpus(candidates: readonly GpuCandidate[], fingerprint: string, book: SpeedBook): GpuAdviceList {
  const priced = candidates.map((candidate): GpuAdvice => {
    const { seconds, basis, samples } = predict(book, fingerprint, gpuKey(candidate.gpuId));
    const microsPerJob = (candidate.usdPerHourMicros * seconds) / secondsPerHour;
    return { candidate, seconds, microsPerJob, basis, samples };
  });
  const byPrice = priced.toSorted((a, b) => a.microsPerJob - b.microsPerJob || a.seconds - b.seconds);
  const limit = (byPrice[0]?.microsPerJob ?? 0) * asCheap;
  const best = byPrice.filter(({ microsPerJob }) => microsPerJob <= limit).toSorted((a, b) => a.seconds - b.seconds)[0];
  if (best === undefined) return { gpus: [], because: undefined };
  const gpus = [best, ...byPrice.filter((one) => one !== best)];
  return { gpus, because: gpus.length < 2 ? undefined : reason(best, gpus) };
}

function reason(best: GpuAdvice, gpus: readonly GpuAdvice[]): string {
  const others = gpus.filter((one) => one !== best);
  const next = others.reduce((a, b) => (b.microsPerJob < a.microsPerJob ? b : a));
  const { name } = next.candidate;
  const less = Math.round((1 - best.microsPerJob / next.microsPerJob) * 100);
  return less > 0 ? `${less} % less than ${name}` : `as cheap as ${name} and sooner done`;
}

/** So many jobs have a price that is told apart by its cents, also on the cheapest of these. */
export function jobsPerPrice(gpus: readonly GpuAdvice[]): number {
  const least = Math.min(...gpus.map(({ microsPerJob }) => microsPerJob));
  return [1, 100].find((jobs) => least * jobs >= 100_000) ?? 1_000;
}

/** '$0.20 per 100 jobs', with 'about' where it is not measured on this GPU. */
export function priceText({ microsPerJob, basis }: GpuAdvice, jobs: number): string {
  const price = formatUsd(microsPerJob * jobs);
  const each = jobs === 1 ? 'a job' : `per ${jobs.toLocaleString('en-US')} jobs`;
  return `${basis === 'measured' ? '' : 'about '}${price} ${each}`;
}

/** How far the figures can be trusted. */
export function basisText({ basis, samples }: GpuAdvice): string {
  const runs = `${samples} run${samples === 1 ? '' : 's'}`;
  if (basis === 'measured') return `measured in ${runs}`;
  return basis === 'scaled' ? `not measured here: scaled from ${runs} elsewhere` : 'not measured: assumed';
}
