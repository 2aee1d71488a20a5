import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';

const done = { start: 'started', create: 'created', stop: 'stopped' } as const;

/** 'started because …', for the details of a pod. */
export function whyText({ what, because }: FleetDecision): string {
  return `${done[what]} because: ${because}`;
}
