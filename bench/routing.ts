import { tiers } from '../src/core/backends/backend.ts';
import { Fault } from '../src/core/kernel/fault.ts';
import { known, unknown } from '../src/core/kernel/observed.ts';
import { afterFault, closedBreaker } from '../src/core/routing/breaker.ts';
import { route } from '../src/core/routing/route.ts';
import type { Candidate } from '../src/core/routing/route.ts';
import type { Bench } from './measurement.ts';

const count = 50;
const decisions = 20_000;

export const routing: Bench = {
  name: 'routing',
  measure() {
    const ids = Array.from({ length: count }, (_, index) => `backend-${String(index)}`);
    const samples: number[] = [];
    for (let decision = 0; decision < decisions; decision++) {
      const candidates = ids.map((id, index) => candidate(id, index + decision));
      const policy = { priority: tiers, localOnly: false, preferred: ids[decision % count]! };
      const startedAt = performance.now();
      const { use, refused } = route(candidates, policy);
      samples.push(performance.now() - startedAt);
      if (use.length + refused.length !== count) throw new Error('A backend has vanished');
    }
    const what = 'routing decision, 50 backends';
    return Promise.resolve([
      { what, judge: 'median', under: 0.5, unit: 'ms', samples },
      { what, judge: 'p99', under: 5, unit: 'ms', samples },
    ]);
  },
};

/** One in five has a shut door, one in five is known to be ill, and of one in five nothing is known. */
function candidate(id: string, index: number): Candidate {
  const refusedFault = new Fault('unreachable', 'Connection refused', { delivered: 'no' });
  return {
    id,
    tier: tiers[index % tiers.length]!,
    load: { jobs: index % 3, depth: 2 },
    ready: index % 7 === 0 ? { ok: false, why: 'Switched off' } : { ok: true },
    health:
      index % 5 === 0
        ? unknown(0)
        : known({ state: index % 5 === 1 ? 'unhealthy' : 'healthy', why: 'as it was seen' }, 0),
    breaker: index % 5 === 2 ? afterFault(closedBreaker, refusedFault, 0) : closedBreaker,
  };
}
