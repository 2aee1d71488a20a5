import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';
import { lowerFirst } from './fleetState.ts';

const done = { start: 'started', create: 'started', stop: 'stopped' } as const;

/** 'started by PodRelay: 40 jobs would take 12 min; …', for the details of a pod. */
export function whyText({ what, because }: FleetDecision): string {
  return `${done[what]} by PodRelay: ${lowerFirst(because)}`;
}
