import type { Health, Tier } from '../backends/backend.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Breaker } from './breaker.ts';

export interface Candidate {
  readonly id: Tier;
  readonly ready: { readonly ok: true } | { readonly ok: false; readonly why: string };
  readonly health: Observed<Health>;
  readonly breaker: Breaker;
}

export interface RoutePolicy {
  readonly priority: readonly Tier[];
  /** Only this one, without fallback. */
  readonly forced?: Tier;
  /** First when it is healthy. */
  readonly preferred?: Tier;
  /** The job must not leave this machine. */
  readonly localOnly: boolean;
}

export interface Route {
  /** In the order in which they are tried. */
  readonly use: readonly Tier[];
  readonly refused: readonly { readonly id: Tier; readonly why: string }[];
  /** Set when every door was shut and the one whose retry is nearest is tried all the same. */
  readonly failOpen?: Tier;
}

/** Reject first, order second, keep every reason. Pure. */
export function route(candidates: readonly Candidate[], policy: RoutePolicy): Route {
  const order = ordered(candidates, policy);
  const use: Tier[] = [];
  const refused: { id: Tier; why: string }[] = [];
  for (const candidate of order) {
    const why = refusal(candidate, policy);
    if (why === undefined) use.push(candidate.id);
    else refused.push({ id: candidate.id, why });
  }
  if (use.length > 0) return { use, refused };
  const nearest = order
    .filter((candidate) => candidate.ready.ok && candidate.breaker.is === 'open' && allowed(candidate.id, policy))
    .filter((candidate) => Number.isFinite(retryAt(candidate.breaker)))
    .sort((a, b) => retryAt(a.breaker) - retryAt(b.breaker))[0];
  if (nearest === undefined) return { use, refused };
  return { use: [nearest.id], refused: refused.filter(({ id }) => id !== nearest.id), failOpen: nearest.id };
}

function ordered(candidates: readonly Candidate[], policy: RoutePolicy): readonly Candidate[] {
  const byPriority = policy.priority.flatMap((id) => candidates.filter((candidate) => candidate.id === id));
  if (policy.forced !== undefined) return candidates.filter((candidate) => candidate.id === policy.forced);
  const first = byPriority.filter((candidate) => candidate.id === policy.preferred && isHealthy(candidate));
  return [...first, ...byPriority.filter((candidate) => !first.includes(candidate))];
}

function refusal(candidate: Candidate, policy: RoutePolicy): string | undefined {
  if (!candidate.ready.ok) return candidate.ready.why;
  if (!allowed(candidate.id, policy)) return "Marked 'local only': it never leaves this machine";
  if (candidate.breaker.is === 'open') return candidate.breaker.why;
  if (candidate.health.known && candidate.health.value.state === 'unhealthy') return candidate.health.value.why;
  if (candidate.health.known && candidate.health.value.state === 'off') return candidate.health.value.why;
  return undefined;
}

function allowed(id: Tier, policy: RoutePolicy): boolean {
  return !policy.localOnly || id === 'local';
}

function isHealthy(candidate: Candidate): boolean {
  if (!candidate.ready.ok || candidate.breaker.is === 'open' || !candidate.health.known) return false;
  const { state } = candidate.health.value;
  return state === 'healthy' || state === 'degraded';
}

function retryAt(breaker: Breaker): number {
  return breaker.is === 'open' ? breaker.retryAtMs : Number.POSITIVE_INFINITY;
}
