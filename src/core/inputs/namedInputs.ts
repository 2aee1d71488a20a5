import type { Workflow } from '../comfy/workflow.ts';
import { BatchColumns } from '../queue/batchColumns.ts';
import type { Takes } from '../queue/batchColumns.ts';
import type { InputPlace } from '../queue/batchInputs.ts';
import { readCell } from '../queue/batchValues.ts';
import type { CellValue } from '../queue/batchValues.ts';

/** What a person changes from run to run, in the order in which it is offered. */
const offered = [
  'prompt',
  'negative',
  'seed',
  'width',
  'height',
  'steps',
  'cfg',
  'denoise',
  'checkpoint',
  'image',
  'length',
  'fps',
  'batch_size',
] as const;
export type InputName = (typeof offered)[number];

/** A value of a workflow that means something to a person. */
export interface NamedInput {
  /** Unlike any other of its workflow: 'steps', or '5.steps' where there are several. */
  readonly key: string;
  readonly name: InputName;
  /** 'node 5 (Sampler)', where several have such an input. */
  readonly node: string | undefined;
  readonly places: readonly InputPlace[];
  readonly takes: Takes;
  readonly value: unknown;
}

/** A value that a person chose instead of the file's. */
export interface InputChange {
  /** The file's, as JSON. */
  readonly from: string;
  readonly to: unknown;
}

/** By {@link NamedInput.key}. */
export type InputChanges = ReadonlyMap<string, InputChange>;

/** What ComfyUI's own nodes take. */
const bounds: Readonly<Partial<Record<InputName, readonly [least: number, most: number]>>> = {
  steps: [1, 10_000],
  cfg: [0, 100],
  denoise: [0, 1],
  length: [1, 16_384],
  fps: [0.01, 1_000],
  batch_size: [1, 4_096],
};

/** The inputs that mean something, found as a batch finds them by their plain names. Pure. */
export function namedInputs(workflow: Workflow): readonly NamedInput[] {
  const columns = new BatchColumns(workflow);
  const { inputs } = columns;
  return offered.flatMap((name) => {
    const all = inputs.each(name);
    return all.flatMap((places): NamedInput[] => {
      const [place] = places;
      const takes = place === undefined ? undefined : name === 'seed' ? 'seed' : columns.takes(place);
      if (place === undefined || takes === undefined) return [];
      const isOne = all.length === 1;
      const key = isOne ? name : `${place.nodeId}.${place.input}`;
      const node = isOne ? undefined : inputs.describe(place.nodeId);
      return [{ key, name, node, places, takes, value: inputs.valueAt(place) }];
    });
  });
}

/** A value on one line, as a box shows it; seeds with all their digits. */
export function inputText(value: unknown): string {
  return typeof value === 'string' ? value.replace(/\s*[\r\n]+\s*/g, ' ') : JSON.stringify(value);
}

/** What a person wrote into the box, which showed `present`. Pure. */
export function readInput({ name, takes }: NamedInput, present: unknown, text: string): CellValue {
  // A box has one line: the lines of a text that was not touched stay.
  if (text === inputText(present)) return { is: 'value', value: present };
  if (name === 'prompt' && text.trim() === '') return { is: 'wrong', why: 'must not be empty' };
  const read = readCell(text, takes);
  const [least, most] = bounds[name] ?? [];
  if (least === undefined || most === undefined || read.is !== 'value') return read;
  const isWithin = typeof read.value === 'number' && read.value >= least && read.value <= most;
  return isWithin ? read : { is: 'wrong', why: `must be from ${least} to ${most}, not ${text.trim()}` };
}

/** With this value; without a change when it is the file's own. */
export function withChange(changes: InputChanges, { key, value }: NamedInput, to: unknown): InputChanges {
  const from = JSON.stringify(value);
  const changed = new Map(changes);
  if (JSON.stringify(to) === from) changed.delete(key);
  else changed.set(key, { from, to });
  return changed;
}

/** Those that still change what they changed: a value that is another in the file by now is the file's. */
export function stillMeant(changes: InputChanges, inputs: readonly NamedInput[]): InputChanges {
  const now = new Map(inputs.map(({ key, value }) => [key, JSON.stringify(value)]));
  return new Map([...changes].filter(([key, { from }]) => now.get(key) === from));
}

/** The value that a run would have. */
export function valueNow({ key, value }: NamedInput, changes: InputChanges): unknown {
  const change = changes.get(key);
  return change === undefined ? value : change.to;
}

/** The graph with the changed values; the given one is left as it is. Pure. */
export function withInputs(workflow: Workflow, inputs: readonly NamedInput[], changes: InputChanges): Workflow {
  const changed: Record<string, Workflow[string]> = { ...workflow };
  for (const { key, places } of inputs) {
    const change = changes.get(key);
    if (change === undefined) continue;
    for (const { nodeId, input } of places) {
      const node = changed[nodeId];
      if (node !== undefined) changed[nodeId] = { ...node, inputs: { ...node.inputs, [input]: change.to } };
    }
  }
  return changed;
}
