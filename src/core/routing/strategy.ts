export const strategies = ['priority', 'cheapest', 'fastest', 'balanced'] as const;
/** What decides between backends that could all do a job. */
export type Strategy = (typeof strategies)[number];

/** 'cheapest' waits at most so long for a dollar: a free GPU at home wins by far, yet nothing waits for ever. */
const cheapestSecondsPerUsd = 100_000;

/**
 * Seconds that are waited to save one US dollar; undefined with 'priority', where the order of tiers decides and time
 * only within one. `balancedSecondsPerUsd` is the slider of 'balanced'.
 */
export function secondsPerUsdOf(strategy: Strategy, balancedSecondsPerUsd: number): number | undefined {
  switch (strategy) {
    case 'priority':
      return undefined;
    case 'fastest':
      return 0;
    case 'cheapest':
      return cheapestSecondsPerUsd;
    case 'balanced':
      return balancedSecondsPerUsd;
  }
}
