import type { Offer } from './market.ts';
import type { Arrival } from './traces.ts';

/**
 * A lower bound, in micro-dollars of GPU time, of what anyone who knows the future must pay to start each job at most
 * `slackSeconds` after its arrival: the work itself on the card where it is cheapest, one boot, and in each time in
 * which no such schedule can have work, the cheaper of waiting through and booting again. No schedule costs less, and
 * most optima cost more, so a ratio to it overstates the distance to the optimum.
 */
export function clairvoyantMicros(
  arrivals: readonly Arrival[],
  offers: readonly Offer[],
  slackSeconds: number,
): number {
  if (arrivals.length === 0) return 0;
  const perWork = Math.min(...offers.map(({ usdPerHour, speed }) => usdPerHour / speed));
  const perSecond = Math.min(...offers.map(({ usdPerHour }) => usdPerHour));
  const slowest = Math.min(...offers.map(({ speed }) => speed));
  const boot = Math.min(...offers.map(({ bootSeconds }) => Math.min(bootSeconds.first, bootSeconds.again)));
  const firstBoot = Math.min(...offers.map(({ bootSeconds }) => bootSeconds.first));
  const work = arrivals.reduce((sum, job) => sum + job.work, 0);
  let busyUntil = Number.NEGATIVE_INFINITY;
  let gaps = 0;
  for (const { atMs, work: seconds } of [...arrivals].sort((a, b) => a.atMs - b.atMs)) {
    const at = atMs / 1_000;
    if (Number.isFinite(busyUntil) && at > busyUntil) gaps += Math.min(at - busyUntil, boot);
    busyUntil = Math.max(busyUntil, at + slackSeconds + seconds / slowest);
  }
  return Math.round(((perWork * work + perSecond * (gaps + firstBoot)) * 1_000_000) / 3_600);
}
