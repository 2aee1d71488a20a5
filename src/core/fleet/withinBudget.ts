import type { Commitment, PodCommitments } from '../cost/budgets.ts';
import { formatUsdPerHour } from '../cost/price.ts';
import { Fault, toFault } from '../kernel/fault.ts';
import type { Pod } from '../runpod/pod.ts';
import { deployPod } from './deployPod.ts';
import type { DeployDeps, DeployRequest, Deployed } from './deployPod.ts';
import { startPod } from './podActions.ts';
import type { PodActionDeps } from './podActions.ts';

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

/**
 * Money is reserved once for the whole list of candidates: for the dearest that a budget allows. Dearer ones are not asked
 * for, and are told among the refused. @throws Fault 'overBudget' when even the cheapest is too dear; as deployPod
 */
export async function deployWithinBudget(
  budgets: PodCommitments | undefined,
  deps: DeployDeps,
  request: DeployRequest,
  signal: AbortSignal,
): Promise<Deployed> {
  if (budgets === undefined) return deployPod(deps, request, signal);
  const { held, usdPerHourMicros, why } = await commitForDearest(budgets, request.candidates);
  const candidates = request.candidates.filter((one) => one.usdPerHourMicros <= usdPerHourMicros);
  const tooDear = request.candidates.filter((one) => one.usdPerHourMicros > usdPerHourMicros);
  const deployed = await releasing(held, () => deployPod(deps, { ...request, candidates }, signal));
  await held.keep(deployed.pod.id, deployed.pod.usdPerHourMicros);
  if (why === undefined) return deployed;
  return { ...deployed, refused: [...tooDear.map((candidate) => ({ candidate, why })), ...deployed.refused] };
}

/** Why it became another than the first candidate, a clause; undefined = it is the first. */
export function insteadText({ candidate, refused }: Pick<Deployed, 'candidate' | 'refused'>): string | undefined {
  if (refused.length === 0) return undefined;
  const tooDear = refused.filter(({ why }) => why.kind === 'overBudget').length;
  const without = refused.length - tooDear;
  const reasons = [
    ...(tooDear > 0 ? [`the budget has too little left for ${String(tooDear)} that would be better`] : []),
    ...(without > 0 ? [`RunPod had none of the ${String(without)} before`] : []),
  ];
  return `${reasons.join(' and ')}, so it is an ${candidate.name} at ${formatUsdPerHour(candidate.usdPerHourMicros)}`;
}

interface Held {
  readonly held: Commitment;
  readonly usdPerHourMicros: number;
  /** Why not more; undefined = the dearest is allowed. */
  readonly why: Fault | undefined;
}

async function commitForDearest(budgets: PodCommitments, candidates: DeployRequest['candidates']): Promise<Held> {
  const prices = [...new Set(candidates.map((one) => one.usdPerHourMicros))].sort((a, b) => b - a);
  let why: Fault | undefined;
  for (const usdPerHourMicros of prices.length === 0 ? [0] : prices) {
    try {
      return { held: await budgets.commit({ what: 'A new pod', usdPerHourMicros }), usdPerHourMicros, why };
    } catch (error) {
      why = toFault(error);
      if (why.kind !== 'overBudget') throw why;
    }
  }
  throw why ?? new Fault('bug', 'No price was asked for');
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
