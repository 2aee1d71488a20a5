import type { SimTime } from './mount.ts';

/** A clock that runs `scale` times faster than life, from the real time on. */
export function createSimTime(scale: number): SimTime {
  if (!(scale > 0)) throw new RangeError(`The time scale must be over 0, not ${scale}`);
  const startedAt = Date.now();
  const monotonicStart = performance.now();
  return {
    now: () => Math.round(startedAt + (performance.now() - monotonicStart) * scale),
    after: (ms, work) => {
      const timer = setTimeout(work, ms / scale);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}
