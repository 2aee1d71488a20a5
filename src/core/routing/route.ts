import type { Health, Standing, Tier } from '../backends/backend.ts';
import type { Observed } from '../kernel/observed.ts';
import type { Breaker } from './breaker.ts';

export interface Candidate {
  readonly id: string;
  readonly tier: Tier;
  /** Another name of it. */
  readonly alias?: string | undefined;
  readonly ready: { readonly ok: true } | { readonly ok: false; readonly why: string };
  readonly health: Observed<Health>;
  readonly breaker: Breaker;
  /** What is known of it without having asked it. */
  readonly standing?: Standing;
  /** Jobs of ours there now, and how many it holds at best. */
  readonly load?: { readonly jobs: number; readonly depth: number };
  /** Of the job that is routed; absent = nothing can be said. */
  readonly forecast?: JobForecast | undefined;
}

/** What a job would take on a backend that had nothing else to do, and what it would cost. */
export interface JobForecast {
  readonly seconds: number;
  readonly micros: number;
}

export interface RoutePolicy {
  readonly priority: readonly Tier[];
  /** Only this tier, or only this backend, without any other. */
  readonly forced?: string;
  /** A tier or a backend: first when it is healthy. */
  readonly preferred?: string;
  /** The job must not leave this machine. */
  readonly localOnly: boolean;
  /**
   * Seconds that are waited to save one US dollar: then predicted end and cost decide among all tiers but the last resort.
   * Absent = the tiers are taken in their order.
   */
  readonly waitPerUsd?: number;
}

export interface Route {
  /** Ids in the order in which they are tried. */
  readonly use: readonly string[];
  readonly refused: readonly { readonly id: string; readonly why: string }[];
  /** Set when every door was shut and the one whose retry is nearest is tried all the same. */
  readonly failOpen?: string;
}

/** Scores this close are decided by the order of the tiers. */
const tieBand = 1.2;

/** Reject first, order second, keep every reason. Candidates of a tier that are equal keep their order. Pure. */
export function route(candidates: readonly Candidate[], policy: RoutePolicy): Route {
  const order = ordered(candidates, policy);
  const use: string[] = [];
  const refused: { id: string; why: string }[] = [];
  for (const candidate of order) {
    const why = privacy(candidate, policy) ?? refusal(candidate);
    if (why === undefined) use.push(candidate.id);
    else refused.push({ id: candidate.id, why });
  }
  if (order.length === 0 && policy.forced !== undefined) {
    refused.push({ id: policy.forced, why: 'It is the only one to be used, and it is not there now' });
  }
  if (use.length > 0) return { use, refused };
  const nearest = order
    .filter((candidate) => candidate.ready.ok && candidate.breaker.is === 'open' && allowed(candidate.tier, policy))
    .filter((candidate) => Number.isFinite(retryAt(candidate.breaker)))
    .sort((a, b) => retryAt(a.breaker) - retryAt(b.breaker))[0];
  if (nearest === undefined) return { use, refused };
  return { use: [nearest.id], refused: refused.filter(({ id }) => id !== nearest.id), failOpen: nearest.id };
}

/** Is this backend meant by a name that a person chose: its tier's, its own, or its other one? */
export function isNamed({ id, tier, alias }: Pick<Candidate, 'id' | 'tier' | 'alias'>, name: string): boolean {
  return id === name || tier === name || alias === name;
}

function ordered(candidates: readonly Candidate[], policy: RoutePolicy): readonly Candidate[] {
  const { forced, preferred, priority } = policy;
  const merits = candidates.map((candidate) => ({ candidate, merit: meritOf(candidate) }));
  const best = merits.sort((a, b) => compare(a.merit, b.merit)).map(({ candidate }) => candidate);
  if (forced !== undefined) return best.filter((candidate) => isNamed(candidate, forced));
  const byTier = priority.flatMap((tier) => best.filter((candidate) => candidate.tier === tier));
  const byPriority = policy.waitPerUsd === undefined ? byTier : byScore(byTier, policy.waitPerUsd);
  if (preferred === undefined) return byPriority;
  const first = byPriority.filter((candidate) => isNamed(candidate, preferred) && isHealthy(candidate));
  return [...first, ...byPriority.filter((candidate) => !first.includes(candidate))];
}

/** Those that work now and are known, by score; scores within a fifth keep the given order, as do all others after them. */
function byScore(inOrder: readonly Candidate[], waitPerUsd: number): readonly Candidate[] {
  const scored = inOrder.flatMap((candidate) => {
    const { readiness, queue, forecast } = meritOf(candidate);
    const isOpen = candidate.tier !== 'gemini' && readiness <= worksNow && refusal(candidate) === undefined;
    if (!isOpen || forecast === undefined) return [];
    return [{ candidate, score: (queue + 1) * forecast.seconds + (waitPerUsd * forecast.micros) / 1e6 }];
  });
  const chosen: Candidate[] = [];
  for (let left = scored; left.length > 0;) {
    const limit = Math.min(...left.map(({ score }) => score)) * tieBand;
    const next = left.find(({ score }) => score <= limit);
    if (next === undefined) break;
    chosen.push(next.candidate);
    left = left.filter((one) => one !== next);
  }
  return [...chosen, ...inOrder.filter((candidate) => !chosen.includes(candidate))];
}

interface Merit {
  readonly readiness: number;
  readonly isFull: boolean;
  /** Jobs before the next one. */
  readonly queue: number;
  readonly forecast: JobForecast | undefined;
}

/** Who works now before who must start first; who is free before who is busy; who is quick before who is slow. */
function compare(a: Merit, b: Merit): number {
  if (a.readiness !== b.readiness) return a.readiness - b.readiness;
  if (a.isFull !== b.isFull) return a.isFull ? 1 : -1;
  if (a.forecast !== undefined && b.forecast !== undefined) {
    return (a.queue + 1) * a.forecast.seconds - (b.queue + 1) * b.forecast.seconds;
  }
  return a.queue - b.queue;
}

function meritOf({ health, standing, load, forecast }: Candidate): Merit {
  const jobs = load?.jobs ?? 0;
  const seen = health.known ? (health.value.queueLength ?? 0) : 0;
  return {
    readiness: readinessOf(health, standing),
    isFull: load !== undefined && jobs >= load.depth,
    queue: Math.max(jobs, seen),
    forecast,
  };
}

const healthRanks: Readonly<Record<Health['state'], number>> = {
  healthy: 0,
  degraded: 1,
  starting: 3,
  stopped: 4,
  unhealthy: 5,
  off: 5,
};
/** Healthy, or nearly so. */
const worksNow = healthRanks.degraded;
const standingRanks: Readonly<Record<Standing, number>> = { ready: 0, unknown: 2, starting: 3, stopped: 4 };

/** The worse of both: either may be the older one. */
function readinessOf(health: Observed<Health>, standing: Standing | undefined): number {
  const stands = standingRanks[standing ?? 'unknown'];
  if (!health.known) return stands;
  const ill = healthRanks[health.value.state];
  return stands === standingRanks.unknown ? ill : Math.max(ill, stands);
}

function privacy({ ready, tier }: Candidate, policy: RoutePolicy): string | undefined {
  return ready.ok && !allowed(tier, policy) ? "Marked 'local only': it never leaves this machine" : undefined;
}

function refusal(candidate: Candidate): string | undefined {
  if (!candidate.ready.ok) return candidate.ready.why;
  if (candidate.breaker.is === 'open') return candidate.breaker.why;
  if (candidate.health.known && candidate.health.value.state === 'unhealthy') return candidate.health.value.why;
  if (candidate.health.known && candidate.health.value.state === 'off') return candidate.health.value.why;
  return undefined;
}

function allowed(tier: Tier, policy: RoutePolicy): boolean {
  return !policy.localOnly || tier === 'local';
}

function isHealthy(candidate: Candidate): boolean {
  if (!candidate.ready.ok || candidate.breaker.is === 'open' || !candidate.health.known) return false;
  const { state } = candidate.health.value;
  return state === 'healthy' || state === 'degraded';
}

function retryAt(breaker: Breaker): number {
  return breaker.is === 'open' ? breaker.retryAtMs : Number.POSITIVE_INFINITY;
}
