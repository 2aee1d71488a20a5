import * as vscode from 'vscode';
import { contextKeys, views } from '../../contract.ts';
import type { Fleet } from '../../core/fleet/fleet.ts';
import type { PodService } from '../../core/fleet/podService.ts';
import type { Event } from '../../core/kernel/event.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import { billedWorkers } from '../../core/serverless/workerCost.ts';
import type { EndpointService } from '../../core/serverless/endpointService.ts';
import type { Settings } from '../../core/settings.ts';
import { fleetState } from '../fleet/fleetState.ts';
import type { Spending } from '../moneySnapshot.ts';
import { setContext } from '../setContext.ts';
import type { endpointRows } from './endpointRows.ts';
import type { EndpointScene } from './endpointScene.ts';
import type { PodLayout } from './podLayout.ts';
import { loadingRow, podsDescription, podsState, runningBadge } from './podsHead.ts';
import type { podRows } from './podRows.ts';
import type { PodScene } from './podScene.ts';
import type { Row } from './row.ts';
import { registerTree } from './treeAdapter.ts';

export interface PodsViewServices {
  readonly pods: PodService;
  readonly fleet: Pick<Fleet, 'lastOf' | 'next' | 'onDidPlan' | 'onDidDecide'>;
  readonly endpoints: EndpointService;
  readonly ledger: Spending | undefined;
  readonly layout: PodLayout;
  readonly hasRunpodKey: () => boolean;
  /** The pod that runs jobs; undefined = none is configured. */
  readonly podId: () => string | undefined;
  /** Serverless endpoints that get jobs. */
  readonly endpointIds: () => readonly string[];
  readonly settings: () => Settings;
  /** Settings, keys or addresses changed. */
  readonly onDidChangeSetup: Event<unknown>;
  readonly onDidChangeKeys: Event<unknown>;
  readonly onDidChooseForJobs: Event<unknown>;
  /** Called before RunPod is asked: what decisions need and is not known yet. */
  readonly prepare: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

const listEveryMs = 10_000;

export function registerPodsView(services: PodsViewServices, life: Lifetime): void {
  const { pods, endpoints, ledger, layout, clock, log, hasRunpodKey } = services;
  /** Loaded with the first look at the account: before it there is nothing to draw. */
  let draw: { readonly pods: typeof podRows; readonly endpoints: typeof endpointRows } | undefined;
  let closed: ReadonlySet<string> = new Set();
  const rows = (): readonly Row[] => {
    const scene = { ...podScene(services), closed };
    const state = podsState(scene);
    setContext(contextKeys.podsState, state);
    if (draw === undefined) return state === 'listed' ? [loadingRow] : [];
    return [...draw.pods(scene), ...draw.endpoints(endpointScene(services))];
  };
  const look = async (signal: AbortSignal): Promise<void> => {
    const [{ closedPods, podRows }, { endpointRows }] = await Promise.all([
      import('./podRows.ts'),
      import('./endpointRows.ts'),
    ]);
    draw = { pods: podRows, endpoints: endpointRows };
    const [listed] = await Promise.all([pods.refresh(signal), endpoints.refresh(signal)]);
    closed = await closedPods(pods, listed);
  };
  const refresh = async (signal: AbortSignal): Promise<void> => {
    await services.prepare();
    if (ledger?.spending.known === false) {
      // Costs are a column, not a condition.
      await ledger.refresh().catch((error: unknown) => log.warn(`Costs could not be read: ${String(error)}`));
    }
    if (hasRunpodKey()) await look(signal);
  };
  const changes = [
    pods.onDidChange,
    layout.onDidChange,
    services.onDidChangeSetup,
    services.onDidChangeKeys,
    services.onDidChooseForJobs,
    services.fleet.onDidPlan,
    services.fleet.onDidDecide,
    endpoints.onDidChange,
    ...(ledger === undefined ? [] : [ledger.onDidChange]),
  ];
  const view = registerTree({ view: views.pods, rows, changes, refresh, refreshMs: listEveryMs, clock, log }, life);

  const showBadge = (): void => {
    view.badge = hasRunpodKey() ? runningBadge(pods, upWorkers(endpoints)) : undefined;
  };
  const describe = (): void => {
    view.description = podsDescription(layout);
  };
  // The badge is seen while the view is not; it costs no request.
  for (const change of [pods.onDidChange, endpoints.onDidChange, services.onDidChangeKeys]) life.own(change(showBadge));
  life.own(layout.onDidChange(describe));
  // A key that was just set is worth a look at once.
  life.own(
    services.onDidChangeKeys(() => {
      if (!view.visible || !hasRunpodKey() || pods.pods.known) return;
      look(life.signal).catch((error: unknown) => log.debug(`The pods could not be listed: ${String(error)}`));
    }),
  );
  showBadge();
  describe();
}

function upWorkers({ lastSeen }: EndpointService): number {
  return billedWorkers(lastSeen?.endpoints ?? [], undefined).length;
}

function podScene({ pods, fleet, ledger, layout, hasRunpodKey, podId, settings, clock }: PodsViewServices): PodScene {
  const spending = ledger?.spending;
  return {
    pods: pods.pods,
    lastSeen: pods.lastSeen,
    hasKey: hasRunpodKey(),
    configured: podId(),
    useAll: settings()['cloud.useAllPods'],
    spent: spending?.known === true ? spending.value.pods : undefined,
    filter: layout.filter,
    groupBy: layout.groupBy,
    decisionOn: (id) => fleet.lastOf(id),
    fleet: fleetState(fleet, settings(), vscode.workspace.isTrusted, hasRunpodKey()),
    address: (id, port) => pods.address(id, port),
    nowMs: clock.now(),
  };
}

function endpointScene({ endpoints, hasRunpodKey, endpointIds, clock }: PodsViewServices): EndpointScene {
  const { prices } = endpoints;
  return {
    endpoints: endpoints.endpoints,
    lastSeen: endpoints.lastSeen,
    prices: prices.known ? prices.value : undefined,
    hasKey: hasRunpodKey(),
    used: endpointIds(),
    nowMs: clock.now(),
  };
}
