import type { Fleet } from '../../core/fleet/fleet.ts';
import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';
import type { PlannedAction } from '../../core/fleet/fleetScene.ts';
import type { Settings } from '../../core/settings.ts';

/** What views and texts say about the pods that PodRelay starts by itself. */
export interface FleetState {
  /** At one time; 0 = switched off. */
  readonly maxPods: number;
  /** Of all of them together. */
  readonly maxUsdPerHourMicros: number;
  /** Why none is started though it is switched on, a clause: 'pods are switched off'. */
  readonly hindrance: string | undefined;
  /** A person has decided so: not to be offered against it. */
  readonly forbidden: boolean;
  /** Undefined = nothing was looked at yet. */
  readonly next: PlannedAction | undefined;
}

type FleetSettings = Pick<
  Settings,
  'fleet.maxPods' | 'fleet.maxUsdPerHour' | 'cloud.enabled' | 'cloud.useAllPods' | 'privacy.localOnly'
>;

export function fleetState(
  fleet: Pick<Fleet, 'next'>,
  settings: FleetSettings,
  isTrusted: boolean,
  hasKey: boolean,
): FleetState {
  return {
    maxPods: settings['fleet.maxPods'],
    maxUsdPerHourMicros: Math.round(settings['fleet.maxUsdPerHour'] * 1_000_000),
    hindrance: hindranceOf(settings, isTrusted, hasKey),
    forbidden: !isTrusted || settings['privacy.localOnly'],
    next: fleet.next,
  };
}

function hindranceOf(settings: FleetSettings, isTrusted: boolean, hasKey: boolean): string | undefined {
  if (!isTrusted) return 'this workspace is not trusted';
  if (!hasKey) return 'no RunPod API key is set';
  if (!settings['cloud.enabled']) return 'RunPod pods are switched off in Backends';
  if (!settings['cloud.useAllPods']) return 'podrelay.cloud.useAllPods is off';
  if (settings['privacy.localOnly']) return 'nothing of this workspace may leave this machine';
  return undefined;
}

/** 'up to 3 pods' */
export function upToText(maxPods: number): string {
  return maxPods === 1 ? 'up to 1 pod' : `up to ${String(maxPods)} pods`;
}

/** What is being done, or why nothing is, as it follows a colon; undefined = there was no reason to look yet. */
export function nowText({ hindrance, next }: Pick<FleetState, 'hindrance' | 'next'>): string | undefined {
  if (hindrance !== undefined) return `none is started: ${hindrance}`;
  if (next === undefined) return undefined;
  const { reason } = splitReason(next.because);
  switch (next.do) {
    case 'start':
      return `starting a stopped pod: ${lowerFirst(reason)}`;
    case 'create':
    case 'move':
      return `creating a pod: ${lowerFirst(reason)}`;
    case 'stop':
      return `stopping a pod: ${lowerFirst(reason)}`;
    case 'wait':
      return waitText(next.because);
  }
}

/** What holds it back goes first: a row shows no more than that. */
function waitText(because: string): string {
  const [wish = '', ...hold] = because.split(', but ');
  return hold.length === 0 ? lowerFirst(because) : `${hold.join(', but ')}, though ${lowerFirst(wish)}`;
}

/** The plan waits for a limit that a person has set: they may want to know. */
export function isHeld({ hindrance, next }: Pick<FleetState, 'hindrance' | 'next'>): boolean {
  return hindrance !== undefined || (next?.do === 'wait' && /\bbudget\b/.test(next.because));
}

/** The plan gives the reason first, then what it chose for it. */
export function splitReason(because: string): { readonly reason: string; readonly choice: string } {
  const [reason = '', ...rest] = because.split('; ');
  return { reason, choice: rest.join('; ') };
}

/** For the middle of a sentence. Names that begin with two capitals stay. */
export function lowerFirst(text: string): string {
  return /^[A-Z][a-z ]/.test(text) && !/^(RunPod|PodRelay|ComfyUI|Gemini)/.test(text)
    ? text.charAt(0).toLowerCase() + text.slice(1)
    : text;
}

/** How long a stopped pod ran, from the decision that brought it up, where that is still known; ms. */
export function ranMs(stop: FleetDecision, decisions: readonly FleetDecision[]): number | undefined {
  if (stop.what !== 'stop' || stop.failure !== undefined) return undefined;
  const before = decisions.filter(
    ({ podId, atMs, failure }) => podId === stop.podId && failure === undefined && atMs < stop.atMs,
  );
  const last = before.reduce<FleetDecision | undefined>(
    (newest, one) => (newest === undefined || one.atMs > newest.atMs ? one : newest),
    undefined,
  );
  return last === undefined || last.what === 'stop' ? undefined : stop.atMs - last.atMs;
}
