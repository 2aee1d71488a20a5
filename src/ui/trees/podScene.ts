import type { Spend } from '../../core/cost/ledger.ts';
import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';
import type { Observed } from '../../core/kernel/observed.ts';
import type { Pod, PodStatus } from '../../core/runpod/pod.ts';
import type { FleetState } from '../fleet/fleetState.ts';

export type PodGrouping = 'none' | 'status' | 'gpu';

/** What the Pods view is drawn from. */
export interface PodScene {
  readonly pods: Observed<readonly Pod[]>;
  readonly lastSeen: { readonly pods: readonly Pod[]; readonly at: number } | undefined;
  readonly hasKey: boolean;
  /** The pod that runs jobs; undefined = none is configured. */
  readonly configured: string | undefined;
  /** Other pods of ours get jobs too, while they run. */
  readonly useAll: boolean;
  /** By pod id; undefined = nothing is known of costs. */
  readonly spent: ReadonlyMap<string, Spend> | undefined;
  /** Empty = every status. */
  readonly filter: readonly PodStatus[];
  /** What automation did with a pod last; undefined = nothing that is known. */
  readonly decisionOn?: (podId: string) => FleetDecision | undefined;
  /** Pods that come by themselves; undefined = it is not told of. */
  readonly fleet?: FleetState;
  readonly groupBy: PodGrouping;
  /** Pods whose token is not on this computer; absent = not looked for yet. */
  readonly closed?: ReadonlySet<string>;
  /** Where a pod's HTTP port is reached. */
  readonly address: (podId: string, port: number) => string;
  readonly nowMs: number;
}
