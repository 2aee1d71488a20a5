/** Below so many, gaps say nothing of the next one. */
const fewGaps = 3;
const newestGaps = 20;

/**
 * How long an idle pod is kept, in seconds. Without a history, until keeping it has cost what its next boot would: the
 * break-even of ski rental, at most twice the cost of who knows the future. With one, the time that would have cost
 * least over the last gaps, never above the break-even.
 */
export function idleSecondsToKeep(
  gapsSeconds: readonly number[],
  bootSeconds: number,
  bounds: { readonly least: number; readonly most: number },
): number {
  const breakEven = clamp(bootSeconds, bounds);
  const gaps = gapsSeconds.slice(-newestGaps);
  if (gaps.length < fewGaps) return breakEven;
  let best = breakEven;
  let bestCost = costOfKeeping(breakEven, gaps, bootSeconds);
  // Only the least bound and the gaps themselves can be optimal: between them the cost only grows.
  for (const wanted of [bounds.least, ...gaps.map((gap) => gap + 1)]) {
    const seconds = clamp(wanted, { least: bounds.least, most: breakEven });
    const cost = costOfKeeping(seconds, gaps, bootSeconds);
    if (cost < bestCost || (cost === bestCost && seconds < best)) {
      best = seconds;
      bestCost = cost;
    }
  }
  return best;
}

function costOfKeeping(seconds: number, gaps: readonly number[], bootSeconds: number): number {
  return gaps.reduce((sum, gap) => sum + (gap < seconds ? gap : seconds + bootSeconds), 0);
}

function clamp(value: number, { least, most }: { readonly least: number; readonly most: number }): number {
  return Math.max(least, Math.min(most, value));
}
