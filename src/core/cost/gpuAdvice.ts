import type { GpuCandidate } from '../fleet/rankGpus.ts';
import { gpuKey } from '../queue/gpuSpeed.ts';
import { predict } from '../queue/measurements.ts';
import type { Prediction, SpeedBook } from '../queue/measurements.ts';
import { formatUsd, podTimeMicros } from './price.ts';

/** What one job takes on a GPU, and what that costs while the pod is at work: boot and idle time come on top. */
export interface GpuAdvice {
  readonly candidate: GpuCandidate;
  readonly seconds: number;
  readonly microsPerJob: number;
  /** 'scaled' = measured on other GPUs; 'assumed' = the workflow has run nowhere yet. */
  readonly basis: Prediction['basis'];
  /** Runs that it stands on. */
  readonly samples: number;
}

export interface GpuAdviceList {
  /** Best first: in this order they are to be tried. */
  readonly gpus: readonly GpuAdvice[];
  /** Why the first is first, a sentence without a full stop; undefined when there is no choice. */
  readonly because: string | undefined;
}

/** A price per job that is so little above the least is as good: then the quicker GPU is. */
const asCheap = 1.05;

/**
 * Ranks GPUs by dollars per job of one workflow, by our own measurements as far as there are any. The cheapest by the hour
 * is often not the cheapest by the job. Pure.
 */
export function adviseGpus(candidates: readonly GpuCandidate[], fingerprint: string, book: SpeedBook): GpuAdviceList {
  const priced = candidates.map((candidate): GpuAdvice => {
    const { seconds, basis, samples } = predict(book, fingerprint, gpuKey(candidate.gpuId));
    const microsPerJob = podTimeMicros(candidate.usdPerHourMicros, seconds * 1_000);
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
  const { candidate, microsPerJob } = best;
  const others = gpus.filter((one) => one !== best);
  const next = others.reduce((a, b) => (b.microsPerJob < a.microsPerJob ? b : a));
  const parts = [`${priceText(best)}, ${comparison(microsPerJob, next)}`];
  const cheapest = gpus.reduce((a, b) => (b.candidate.usdPerHourMicros < a.candidate.usdPerHourMicros ? b : a));
  if (cheapest.candidate.usdPerHourMicros < candidate.usdPerHourMicros) {
    parts.push(`${cheapest.candidate.name} costs less an hour and ${formatUsd(cheapest.microsPerJob)} a job`);
  }
  return parts.join('; ');
}

function comparison(microsPerJob: number, next: GpuAdvice): string {
  const { name } = next.candidate;
  const less = Math.round((1 - microsPerJob / next.microsPerJob) * 100);
  if (less > 0) return `${less} % less than ${name}`;
  return `as cheap as ${name} and sooner done`;
}

/** '$0.002 a job', with 'about' where it is not measured on this GPU. */
export function priceText({ microsPerJob, basis }: GpuAdvice): string {
  return `${basis === 'measured' ? '' : 'about '}${formatUsd(microsPerJob)} a job`;
}

/** How far the figures can be trusted. */
export function basisText({ basis, samples }: GpuAdvice): string {
  const runs = `${samples} run${samples === 1 ? '' : 's'}`;
  if (basis === 'measured') return `measured in ${runs}`;
  return basis === 'scaled' ? `not measured here: scaled from ${runs} on other GPUs` : 'not measured: assumed';
}
