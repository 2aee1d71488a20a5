const msPerHour = 3_600_000;
const microsPerUsd = 1_000_000;

/** Price and speed of a GPU pod. */
export interface CloudRate {
  readonly usdPerHourMicros: number;
  readonly videosPerHour: number;
}

/** An RTX 3090 at $0.24 an hour making 12 videos an hour: $0.02 a video, as long as nothing was measured. */
export const defaultCloudRate: CloudRate = { usdPerHourMicros: 240_000, videosPerHour: 12 };

export interface CostEstimate {
  readonly micros: number;
  readonly basis: 'free' | 'assumed' | 'measured' | 'priceList';
}

export interface EstimateFacts {
  readonly videos: number;
  /** What earlier jobs there cost, in micro-dollars each; empty = nothing measured yet. */
  readonly measuredMicros?: readonly number[];
  /** The running pod's price, when there is one. */
  readonly usdPerHourMicros?: number;
  /** Gemini's list price of one, in micro-dollars. */
  readonly listPriceMicros?: number;
}

/** Predicted cost. Undefined when there is nothing to predict it from, which is not the same as free. */
export function estimateCost(tier: 'local' | 'cloud' | 'gemini', facts: EstimateFacts): CostEstimate | undefined {
  switch (tier) {
    case 'local':
      return { micros: 0, basis: 'free' };
    case 'gemini':
      if (facts.listPriceMicros === undefined) return undefined;
      return { micros: Math.round(facts.listPriceMicros * facts.videos), basis: 'priceList' };
    case 'cloud': {
      const measured = median(facts.measuredMicros ?? []);
      if (measured !== undefined) return { micros: Math.round(measured * facts.videos), basis: 'measured' };
      const usdPerHourMicros = facts.usdPerHourMicros ?? defaultCloudRate.usdPerHourMicros;
      return { micros: videoCostMicros(facts.videos, { ...defaultCloudRate, usdPerHourMicros }), basis: 'assumed' };
    }
  }
}

/** Micro-dollars of so many videos at a pod's price and speed. */
export function videoCostMicros(videos: number, rate: CloudRate): number {
  return Math.round((videos * rate.usdPerHourMicros) / rate.videosPerHour);
}

/** Micro-dollars of so much pod time. RunPod bills by the second (RunPod docs, pods/pricing); shares of one count here. */
export function podTimeMicros(usdPerHourMicros: number, ms: number): number {
  return Math.round((usdPerHourMicros * ms) / msPerHour);
}

/**
 * '$0.34'; below a cent with one digit more ('$0.002'), so that little is not shown as nothing; '<$0.001' below that.
 * What is no number is 'unknown', never a figure.
 */
export function formatUsd(micros: number | undefined): string {
  if (micros === undefined || !Number.isFinite(micros)) return 'unknown';
  if (micros < 0) return `-${formatUsd(-micros)}`.replace('-<$', '-$');
  const usd = micros / microsPerUsd;
  if (micros === 0 || Math.round(usd * 1000) >= 10) return `$${usd.toFixed(2)}`;
  return Math.round(usd * 1000) === 0 ? '<$0.001' : `$${usd.toFixed(3)}`;
}

/** What a person enters: US dollars, with or without a sign, point or comma. Null = empty; undefined = no amount. */
export function parseUsd(text: string): number | null | undefined {
  const bare = text
    .trim()
    .replace(/^\$\s*/, '')
    .replace(',', '.');
  if (bare === '') return null;
  if (!/^\d+(\.\d+)?$|^\.\d+$/.test(bare)) return undefined;
  const usd = Number(bare);
  return Number.isFinite(usd) && usd <= 1_000_000 ? usd : undefined;
}

/** '$0.34/h' */
export function formatUsdPerHour(usdPerHourMicros: number | undefined): string {
  return `${formatUsd(usdPerHourMicros)}/h`;
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : (upper + lower) / 2;
}
