const msPerHour = 3_600_000;
const microsPerUsd = 1_000_000;

/** An RTX 3090 at $0.24 an hour making 12 videos an hour, as long as nothing is known; a picture takes a tenth. */
const assumed = { usdPerHourMicros: 240_000, seconds: { video: 300, image: 30 } } as const;

/** What one job takes of a machine's time, and what that stands on: its price per hour and the job's seconds there, if known. */
export function machineQuote(
  media: keyof typeof assumed.seconds,
  usdPerHourMicros?: number,
  seconds?: number,
): { readonly micros: number; readonly basis: string } {
  const rate = usdPerHourMicros ?? assumed.usdPerHourMicros;
  const took = seconds ?? assumed.seconds[media];
  const guessed = [...(seconds === undefined ? ['time'] : []), ...(usdPerHourMicros === undefined ? ['price'] : [])];
  const how = guessed.length === 0 ? 'as measured' : `${guessed.join(' and ')} assumed`;
  const basis = `${Math.round(took * 10) / 10} s at ${formatUsdPerHour(rate)}, ${how}`;
  return { micros: podTimeMicros(rate, took * 1_000), basis };
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
