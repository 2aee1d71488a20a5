import type { BackendStatus } from '../../core/backends/backendManager.ts';
import { formatUsd } from '../../core/cost/price.ts';
import { durationText } from '../../core/queue/dispatch.ts';
import type { BackendOutlook } from '../../core/queue/strategyOutlook.ts';
import { isNamed } from '../../core/routing/route.ts';
import type { RoutePolicy } from '../../core/routing/route.ts';
import { dotted } from '../trees/row.ts';

export interface LensScene {
  /** In order of priority. */
  readonly statuses: readonly BackendStatus[];
  /** What the workflow would be on each; undefined = nobody was asked yet. */
  readonly outlook: readonly BackendOutlook[] | undefined;
  readonly policy: Pick<RoutePolicy, 'forced' | 'priority' | 'localOnly'>;
}

export interface LensText {
  /** Undefined = nothing is known that would be worth a line. */
  readonly title: string | undefined;
  /** A line for each backend, with the whole reason. */
  readonly tooltip: string;
  /** Of some that could have the job nobody knows how they are. 'checking': they are asked. */
  readonly unknown: 'none' | 'some' | 'checking';
}

/** The line is read in passing. */
const mostBackends = 4;
const longestReason = 40;

type Told =
  | { readonly is: 'able'; readonly text: string; readonly whole: string }
  | { readonly is: 'unable'; readonly why: string }
  | { readonly is: 'unknown' };

/**
 * What a workflow would take on each backend that is set up and meant, by what was last seen and measured:
 * 'local 42 s free · RTX 4090 pod 9 s $0.002 · Gemini cannot: ControlNet'. Pure.
 */
export function lensText(scene: LensScene): LensText {
  const meant = scene.statuses.filter((status) => isMeant(status, scene.policy));
  const names = namesOf(meant);
  const all = meant.map((status) => ({ status, name: names.get(status) ?? '', told: tell(status, scene) }));
  const asked = all.filter(({ told }) => told.is === 'unknown');
  const isChecking = asked.some(({ status }) => status.checking);
  const parts = all.map(({ name, told }) => short(name, told));
  const more = parts.length > mostBackends ? `+${parts.length - mostBackends}` : '';
  return {
    title: asked.length === all.length ? undefined : dotted(...parts.slice(0, mostBackends), more),
    tooltip: all.map(({ status, told }) => `${status.backend.label}: ${whole(told)}`).join('\n'),
    unknown: asked.length === 0 ? 'none' : isChecking ? 'checking' : 'some',
  };
}

/** What decides whether the line is another: cheaper to compare than to ask what a job would take. Pure. */
export function lensKey(statuses: readonly BackendStatus[]): string {
  return JSON.stringify(
    statuses.map(({ backend, ready, health, breaker, checking }) => [
      backend.id,
      ready.ok,
      breaker.is,
      health.known ? [health.value.state, health.value.gpu, health.value.why] : checking,
    ]),
  );
}

/** What was not set up, or was left out by choice, is no news. */
function isMeant({ backend, ready }: BackendStatus, { forced, priority }: LensScene['policy']): boolean {
  if (!ready.ok || !priority.includes(backend.tier)) return false;
  const named = { id: backend.id, tier: backend.tier, alias: backend.alias?.() };
  return forced === undefined || isNamed(named, forced);
}

function tell(status: BackendStatus, { outlook, policy }: LensScene): Told {
  const { backend, health, breaker } = status;
  if (policy.localOnly && backend.tier !== 'local') return { is: 'unable', why: "marked 'local only'" };
  const found = outlook?.find(({ id }) => id === backend.id);
  // What a graph cannot be put to is known before anybody is asked.
  if (backend.tier === 'gemini' && found !== undefined && found.seconds === undefined) {
    return { is: 'unable', why: found.why ?? 'not known' };
  }
  if (breaker.is === 'open') return { is: 'unable', why: breaker.why };
  if (!health.known) return { is: 'unknown' };
  const { state, why } = health.value;
  if (state === 'unhealthy' || state === 'off') return { is: 'unable', why };
  if (found === undefined) return { is: 'unknown' };
  if (found.seconds === undefined) return { is: 'unable', why: found.why ?? 'not known' };
  const time = durationText(found.seconds);
  const { micros } = found;
  const cost = micros === undefined ? ', price not known' : micros === 0 ? ' free' : ` ${formatUsd(micros)}`;
  if (found.basis === 'measured') return { is: 'able', text: `${time}${cost}`, whole: `${time}${cost}` };
  return { is: 'able', text: `about ${time}${cost}`, whole: `about ${time}${cost}; not measured` };
}

function short(name: string, told: Told): string {
  switch (told.is) {
    case 'able':
      return `${name} ${told.text}`;
    case 'unable':
      return `${name} cannot: ${shortReason(told.why)}`;
    case 'unknown':
      return `${name} not checked`;
  }
}

function whole(told: Told): string {
  return told.is === 'able' ? told.whole : told.is === 'unable' ? told.why : 'not checked';
}

/** 'ControlNet (node 12): Gemini takes no pose' → 'ControlNet' */
function shortReason(why: string): string {
  const text = (/^(.+?)(?: \(node [^)]*\))?: /.exec(why)?.[1] ?? why).replace(/[.\s]+$/, '');
  return text.length > longestReason ? `${text.slice(0, longestReason - 1).trimEnd()}…` : text;
}

/** 'local', 'Gemini', 'RTX 4090 pod'; its own name where another is called so, too. */
function namesOf(statuses: readonly BackendStatus[]): ReadonlyMap<BackendStatus, string> {
  const plain = statuses.map((status) => ({ status, name: plainName(status) }));
  return new Map(
    plain.map(({ status, name }) => {
      const isOne = plain.filter((one) => one.name === name).length === 1;
      return [status, isOne ? name : (status.backend.name ?? status.backend.label)];
    }),
  );
}

function plainName({ backend: { tier, label, workers }, health }: BackendStatus): string {
  if (tier === 'local') return 'local';
  if (tier === 'gemini') return 'Gemini';
  const gpu = health.known ? health.value.gpu : undefined;
  return gpu === undefined || workers !== undefined ? label : `${gpu} pod`;
}
