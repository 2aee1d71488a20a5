/** Times in which spending is summed. */
export type Period = 'session' | 'day' | 'month';

/** Where the sums of this moment begin; ms since the epoch. */
export interface Periods {
  readonly sessionFromMs: number;
  readonly dayFromMs: number;
  readonly monthFromMs: number;
  readonly nowMs: number;
}

/** Local midnight, also on the days when the clocks change; of so many days later. */
export function startOfDay(nowMs: number, days = 0): number {
  const now = new Date(nowMs);
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).getTime();
}

export function startOfMonth(nowMs: number): number {
  const now = new Date(nowMs);
  return new Date(now.getFullYear(), now.getMonth(), 1).getTime();
}
