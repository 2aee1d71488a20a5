/** By so much two clocks may differ before one of them is taken for wrong; a stop is seen no more exactly either. */
const toleratedMs = 10_000;

/**
 * RunPod's times by the clock of this machine, which is what all else here goes by: where the two clocks disagree, a pod
 * that has just started would seem to have run for hours. How far RunPod's is ahead is in the date of each reply.
 */
export class PodClock {
  #aheadMs = 0;
  readonly #told = new Map<string, { readonly byRunpodMs: number; readonly ms: number }>();

  /** @param date the header of a reply, to the second; undefined = there is none, and nothing is learned */
  note(date: string | undefined, nowMs: number): void {
    const aheadMs = Date.parse(date ?? '') - nowMs;
    if (Number.isNaN(aheadMs)) return;
    this.#aheadMs = Math.abs(aheadMs) > toleratedMs ? aheadMs : 0;
  }

  /** The same time is told as the same ever after: it tells one run of a pod from the next. */
  toOurs(key: string, byRunpodMs: number): number {
    const before = this.#told.get(key);
    if (before?.byRunpodMs === byRunpodMs) return before.ms;
    const ms = byRunpodMs - this.#aheadMs;
    this.#told.set(key, { byRunpodMs, ms });
    return ms;
  }
}
