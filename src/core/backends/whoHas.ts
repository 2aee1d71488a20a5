import type { Workflow } from '../comfy/workflow.ts';
import { withDeadline } from '../kernel/clock.ts';
import { Fault } from '../kernel/fault.ts';

import { JobFault } from './backendManager.ts';
import { partsOf } from './contents.ts';
import type { Contents, Part } from './contents.ts';

/** A backend that runs graphs, and where it does. */
export interface GraphPlace {
  readonly id: string;
  /** As it stands in a sentence: 'the RunPod pod' */
  readonly name: string;
  readonly address: string;
  /** It runs now, and may be told which nodes are wanted. */
  readonly mayAsk: boolean;
}

/** The job has failed already: it is not held up for long. */
const askTimeoutMs = 2_000;

export interface Surroundings {
  readonly workflow: Workflow;
  readonly places: readonly GraphPlace[];
  readonly contents: Contents;
  /** Has the answer noted in `contents`. */
  readonly ask: (address: string, classes: readonly string[], signal: AbortSignal) => Promise<unknown>;
}

/** The same failure; where a backend lacked something, its next step says which other one has it. */
export async function withOwners(fault: Fault, around: Surroundings, signal: AbortSignal): Promise<Fault> {
  if (!(fault instanceof JobFault)) return fault;
  const lacking = fault.attempts.filter(({ faultKind }) => faultKind === 'mismatch').map(({ backend }) => backend);
  const nextStep = await whoHas(lacking, around, signal);
  if (nextStep === '') return fault;
  return new JobFault(fault.attempts, fault.kind, fault.message, { ...fault.facts, nextStep }, { cause: fault });
}

/**
 * Which other backend has what the ones named in `lacking` do not have, as sentences; '' when nothing is known to be
 * missing. Others are asked where they may be; else what they once said counts.
 */
async function whoHas(
  lacking: readonly string[],
  { workflow, places, contents, ask }: Surroundings,
  signal: AbortSignal,
): Promise<string> {
  const without = places.filter(({ id }) => lacking.includes(id));
  const missing = partsOf(workflow).filter((part) =>
    without.some(({ address }) => contents.has(address, part) === false),
  );
  // A missing class hides its lists.
  const absent = new Set(missing.filter(({ input }) => input === undefined).map(({ nodeClass }) => nodeClass));
  const named = missing.filter(({ input, nodeClass }) => input === undefined || !absent.has(nodeClass));
  if (named.length === 0) return '';
  const others = places.filter(({ id }) => !lacking.includes(id));
  const classes = [...new Set(named.map(({ nodeClass }) => nodeClass))];
  const deadline = withDeadline(signal, askTimeoutMs, () => new Fault('timeout', 'No answer within 2 s'));
  const asked = others.filter(({ mayAsk }) => mayAsk);
  await Promise.allSettled(asked.map(({ address }) => ask(address, classes, deadline.signal)));
  deadline.done();
  return named
    .map((part) => {
      const owners = others.filter(({ address }) => contents.has(address, part) === true).map(({ name }) => name);
      return owners.length === 0
        ? `No other backend is known to have ${describe(part)}.`
        : sentence(`${owners.join(' and ')} ${owners.length === 1 ? 'has' : 'have'} ${describe(part)}.`);
    })
    .join(' ');
}

function describe({ nodeClass, value }: Part): string {
  return value === undefined ? `the node ${nodeClass}` : `'${value}' (${nodeClass})`;
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
