import { assumedSpeed } from './gpuSpeed.ts';

/** One successful run. */
export interface MeasuredRun {
  readonly fingerprint: string;
  /** As `gpuKey` gives it; a serverless endpoint is a key of its own. */
  readonly gpu: string;
  /** On the GPU: without waiting, and without loading a model. */
  readonly seconds: number;
  /** ms since the epoch */
  readonly atMs: number;
}

export interface Prediction {
  readonly seconds: number;
  /** 'scaled' = measured on another GPU; 'assumed' = this workflow has never run anywhere. */
  readonly basis: 'measured' | 'scaled' | 'assumed';
  /** Runs that it stands on. */
  readonly samples: number;
}

interface Measured {
  readonly seconds: number;
  readonly samples: number;
}

/** What is known of run times; made by {@link readRuns}. */
export interface SpeedBook {
  readonly byFingerprint: ReadonlyMap<string, ReadonlyMap<string, Measured>>;
  /** Of GPUs that share a workflow with another one; RTX 3090 = 1 by assumption. */
  readonly speeds: ReadonlyMap<string, number>;
}

const newestRuns = 20;
const halfLifeMs = 7 * 24 * 3_600_000;
/** Of an unknown workflow on an RTX 3090; a 30-step SDXL image takes about so long. */
const assumedSeconds = 20;

/** Medians of the newest 20 runs per workflow and GPU, a run counting half after seven days; and speeds of the GPUs. */
export function readRuns(runs: readonly MeasuredRun[], nowMs: number): SpeedBook {
  const usable = runs.filter(({ seconds }) => Number.isFinite(seconds) && seconds > 0);
  const byFingerprint = new Map<string, Map<string, Measured>>();
  for (const [fingerprint, own] of Map.groupBy(usable, (run) => run.fingerprint)) {
    const byGpu = Map.groupBy(own, (run) => run.gpu);
    byFingerprint.set(fingerprint, new Map([...byGpu].map(([gpu, some]) => [gpu, measured(some, nowMs)])));
  }
  return { byFingerprint, speeds: measuredSpeeds(byFingerprint) };
}

function measured(runs: readonly MeasuredRun[], nowMs: number): Measured {
  const newest = [...runs].sort((a, b) => b.atMs - a.atMs).slice(0, newestRuns);
  const weighted = newest.map(({ seconds, atMs }) => ({
    value: seconds,
    weight: 0.5 ** (Math.max(0, nowMs - atMs) / halfLifeMs),
  }));
  return { seconds: weightedMedian(weighted), samples: newest.length };
}

/** The value with half of the weight on either side; the mean of two that share the middle. 0 for none. */
export function weightedMedian(values: readonly { readonly value: number; readonly weight: number }[]): number {
  const sorted = [...values].sort((a, b) => a.value - b.value);
  const half = sorted.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let passed = 0;
  for (const [index, { value, weight }] of sorted.entries()) {
    passed += weight;
    if (Math.abs(passed - half) < 1e-9) return (value + (sorted[index + 1]?.value ?? value)) / 2;
    if (passed > half) return value;
  }
  return sorted.at(-1)?.value ?? 0;
}

/** A GPU's speed by the workflows that it shares with others, relative to what is assumed of those. */
function measuredSpeeds(book: ReadonlyMap<string, ReadonlyMap<string, Measured>>): ReadonlyMap<string, number> {
  const ratios = new Map<string, { value: number; weight: number }[]>();
  for (const byGpu of book.values()) {
    if (byGpu.size < 2) continue;
    // How much work the workflow is, as each GPU that ran it says; one odd card does not bend the scale.
    const work = weightedMedian(
      [...byGpu].map(([gpu, { seconds, samples }]) => ({ value: seconds * assumedSpeed(gpu), weight: samples })),
    );
    for (const [gpu, { seconds, samples }] of byGpu) {
      ratios.set(gpu, [...(ratios.get(gpu) ?? []), { value: work / seconds, weight: samples }]);
    }
  }
  return new Map([...ratios].map(([gpu, values]) => [gpu, weightedMedian(values)]));
}

function speedOf(book: SpeedBook, gpu: string): number {
  return book.speeds.get(gpu) ?? assumedSpeed(gpu);
}

/** Predicted seconds of a workflow on a GPU: measured there, else elsewhere and scaled by speed, else assumed. */
export function predict(book: SpeedBook, fingerprint: string, gpu: string): Prediction {
  const byGpu = book.byFingerprint.get(fingerprint);
  const here = byGpu?.get(gpu);
  if (here !== undefined) return { seconds: here.seconds, basis: 'measured', samples: here.samples };
  if (byGpu === undefined || byGpu.size === 0) {
    return { seconds: assumedSeconds / speedOf(book, gpu), basis: 'assumed', samples: 0 };
  }
  const work = weightedMedian(
    [...byGpu].map(([other, { seconds, samples }]) => ({ value: seconds * speedOf(book, other), weight: samples })),
  );
  const samples = [...byGpu.values()].reduce((sum, one) => sum + one.samples, 0);
  return { seconds: work / speedOf(book, gpu), basis: 'scaled', samples };
}

/** What is left of a run. One that takes longer than predicted is given a quarter of its time so far, at least 1 s. */
export function remainingSeconds(predictedSeconds: number, elapsedSeconds: number): number {
  const left = predictedSeconds - elapsedSeconds;
  return left > 0 ? left : Math.max(1, elapsedSeconds / 4);
}

/** The value that the given share of the newest samples stays under; `fallback` while there are none. Newest last. */
export function newestQuantile(samples: readonly number[], share: number, fallback: number): number {
  const sorted = samples.slice(-newestRuns).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? fallback;
}
