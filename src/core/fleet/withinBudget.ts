import type { Commitment, PodCommitments } from '../cost/budgets.ts';
import { toFault } from '../kernel/fault.ts';
import { late } from '../kernel/late.ts';
import type { Pod } from '../runpod/pod.ts';
import type { DeployDeps, DeployRequest, Deployed } from './deployPod.ts';
import type { PodActionDeps } from './podActions.ts';

const { startPod } = late(() => import('./podActions.ts'));
const { deployPod } = late(() => import('./deployPod.ts'));

/** @throws Fault 'overBudget' before anything is sent; as startPod */
export async function startWithinBudget(
  budgets: PodCommitments | undefined,
  deps: PodActionDeps,
  pod: Pick<Pod, 'id' | 'name'>,
  signal: AbortSignal,
): Promise<Pod> {
  const held = await budgets?.commit({ podId: pod.id, what: `The pod ${pod.name}` });
  const started = await releasing(held, () => startPod(deps, pod.id, signal));
  await held?.keep(started.id, started.usdPerHourMicros);
  return started;
}

/** Money is reserved once for the whole list of candidates: for the dearest. @throws Fault 'overBudget'; as deployPod */
export async function deployWithinBudget(
  budgets: PodCommitments | undefined,
  deps: DeployDeps,
  request: DeployRequest,
  signal: AbortSignal,
): Promise<Deployed> {
  const usdPerHourMicros = Math.max(0, ...request.candidates.map((one) => one.usdPerHourMicros));
  const held = await budgets?.commit({ what: 'A new pod', usdPerHourMicros });
  const deployed = await releasing(held, () => deployPod(deps, request, signal));
  await held?.keep(deployed.pod.id, deployed.pod.usdPerHourMicros);
  return deployed;
}

/** What may have taken effect keeps its money: the reservation melts by itself. */
async function releasing<T>(held: Commitment | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (toFault(error).facts.delivered !== 'maybe') await held?.release();
    throw error;
  }
}
