import { inputText, valueNow } from '../../core/inputs/namedInputs.ts';
import type { InputChanges, InputName, NamedInput } from '../../core/inputs/namedInputs.ts';
import { dotted } from '../trees/row.ts';

/** A line of the list of inputs. */
export interface InputItem {
  readonly label: string;
  readonly description: string;
  /** What choosing it does. */
  readonly does: 'run' | 'reset' | NamedInput;
}

const names: Readonly<Record<InputName, string>> = {
  prompt: 'Prompt',
  negative: 'Negative Prompt',
  seed: 'Seed',
  width: 'Width',
  height: 'Height',
  steps: 'Steps',
  cfg: 'CFG',
  denoise: 'Denoise',
  checkpoint: 'Checkpoint',
  image: 'Image',
  length: 'Length',
  fps: 'Frames per Second',
  batch_size: 'Batch Size',
};

/** More of a text is not read in a list. */
const longest = 80;

/** 'Steps', or 'Steps of node 5 (Sampler)' where several have some. */
export function inputLabel({ name, node }: NamedInput): string {
  return node === undefined ? names[name] : `${names[name]} of ${node}`;
}

/** Run first; then the inputs with their present values; what was changed says so. */
export function inputItems(inputs: readonly NamedInput[], changes: InputChanges): readonly InputItem[] {
  const changed = inputs.filter(({ key }) => changes.has(key));
  const summary = changed.map((input) => inputLabel(input)).join(', ');
  const run: InputItem = {
    label: '$(play) Run',
    description: changed.length === 0 ? 'as the file says' : `changed: ${summary}`,
    does: 'run',
  };
  const values = inputs.map((input): InputItem => {
    const change = changes.get(input.key);
    const was = change !== undefined && `in the file: ${shown(input, input.value)}`;
    return {
      label: `$(${change === undefined ? 'blank' : 'edit'}) ${inputLabel(input)}`,
      description: dotted(shown(input, valueNow(input, changes)), was),
      does: input,
    };
  });
  const reset: InputItem = { label: '$(discard) Use the File’s Values', description: summary, does: 'reset' };
  return [run, ...values, ...(changed.length === 0 ? [] : [reset])];
}

function shown({ name }: NamedInput, value: unknown): string {
  const text = inputText(value);
  if (text.trim() === '') return name === 'checkpoint' ? 'the first one that the backend has' : 'empty';
  return text.length > longest ? `${text.slice(0, longest - 1).trimEnd()}…` : text;
}

/** What a box asks for. */
export function inputQuestion({ name, takes }: NamedInput): string {
  switch (takes) {
    case 'seed':
      return "A whole number, or 'random'";
    case 'size':
      return 'Pixels, a multiple of 8';
    case 'integer':
      return 'A whole number';
    case 'number':
      return name === 'denoise' ? 'A number from 0 to 1' : 'A number';
    case 'boolean':
      return 'true or false';
    case 'image':
      return 'An image file in the folder of the workflow';
    case 'text':
      return name === 'checkpoint' ? 'The file as the backend names it; empty for the first one that it has' : 'A text';
  }
}
