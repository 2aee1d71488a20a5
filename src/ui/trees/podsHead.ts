import { isBilled } from '../../core/cost/podMeter.ts';
import type { PodScene } from './podScene.ts';
import { podStatusName } from './podText.ts';
import { dotted } from './row.ts';
import type { Row } from './row.ts';

/** Before the first look at the account. */
export const loadingRow: Row = { id: 'pods:loading', label: 'Looking for pods…', icon: { id: 'loading~spin' } };

/** 'noKey' and 'none' leave the tree empty, so that a welcome text shows the ways in. */
export function podsState({
  hasKey,
  pods,
  fleet,
}: Pick<PodScene, 'hasKey' | 'pods' | 'fleet'>): 'noKey' | 'none' | 'listed' {
  if (!hasKey) return 'noKey';
  const mayCome = fleet !== undefined && fleet.maxPods > 0;
  return pods.known && pods.value.length === 0 && !mayCome ? 'none' : 'listed';
}

/** What the view's head says beside its name: the filter and the grouping. */
export function podsDescription({ filter, groupBy }: Pick<PodScene, 'filter' | 'groupBy'>): string {
  const only = filter.map((status) => podStatusName(status).toLowerCase()).join(', ');
  const by = groupBy === 'none' ? '' : `by ${groupBy === 'gpu' ? 'GPU' : groupBy}`;
  return dotted(only !== '' && `only ${only}`, by);
}

/** How many pods cost GPU money, for the view's badge; undefined when there is nothing to show. */
export function runningBadge(
  { pods, lastSeen }: Pick<PodScene, 'pods' | 'lastSeen'>,
  workers = 0,
): { readonly value: number; readonly tooltip: string } | undefined {
  const running = (lastSeen?.pods ?? []).filter(isBilled).length;
  const value = running + workers;
  if (value === 0) return undefined;
  const told = [
    ...(running === 0 ? [] : [running === 1 ? '1 pod running' : `${running} pods running`]),
    ...(workers === 0 ? [] : [workers === 1 ? '1 serverless worker up' : `${workers} serverless workers up`]),
  ];
  const what = told.join(', ');
  return { value, tooltip: pods.known ? what : `${what} when last seen` };
}
