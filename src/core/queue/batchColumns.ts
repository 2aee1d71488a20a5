import type { Workflow } from '../comfy/workflow.ts';
import { isImageLoader } from '../gemini/readInputImages.ts';
import { WorkflowInputs, isNumber, knownInputs, plainName } from './batchInputs.ts';
import type { Found, InputPlace, KnownInput } from './batchInputs.ts';

/** What a cell must hold. 'size' = pixels that a latent image can have. */
export type Takes = 'text' | 'seed' | 'integer' | 'size' | 'number' | 'boolean' | 'image';

export type ColumnMeaning =
  | { readonly is: 'label' | 'priority' | 'repeat' | 'note' }
  | { readonly is: 'input'; readonly places: readonly InputPlace[]; readonly takes: Takes }
  /** A sentence. */
  | { readonly is: 'unknown'; readonly why: string };

const aliases: Readonly<Record<string, KnownInput>> = {
  positive: 'prompt',
  positive_prompt: 'prompt',
  text: 'prompt',
  negative_prompt: 'negative',
  noise_seed: 'seed',
  cfg_scale: 'cfg',
  guidance: 'cfg',
  ckpt: 'checkpoint',
  ckpt_name: 'checkpoint',
  model: 'checkpoint',
  input_image: 'image',
};

const integers = /^(steps|batch_size|length|frames|num_frames|video_frames|width|height|amount|.*_at_step|.*_steps)$/;

/** Reads what the columns of a batch mean for one workflow. Pure. */
export class BatchColumns {
  readonly inputs: WorkflowInputs;

  constructor(workflow: Workflow) {
    this.inputs = new WorkflowInputs(workflow);
  }

  meaning(column: string): ColumnMeaning {
    const name = plainName(column);
    if (name.startsWith('#')) return { is: 'note' };
    if (name === 'label' || name === 'priority' || name === 'repeat') return { is: name };
    const known = knownInputs.find((one) => one === name) ?? aliases[name];
    const found = known === undefined ? this.#other(column.trim(), name) : this.inputs.find(known);
    if (typeof found === 'string') return { is: 'unknown', why: found };
    const [place] = found;
    if (place === undefined) return { is: 'unknown', why: 'it names no input of this workflow' };
    const takes = known === 'seed' ? 'seed' : this.takes(place);
    return takes === undefined
      ? { is: 'unknown', why: `${place.nodeId}.${place.input} holds a list, which no column can set` }
      : { is: 'input', places: found, takes };
  }

  /** The columns without which no job has its prompt: the workflow has none of its own. */
  required(): readonly KnownInput[] {
    const prompt = this.inputs.find('prompt');
    const isEmpty = typeof prompt !== 'string' && prompt.every((place) => this.inputs.valueAt(place) === '');
    return isEmpty ? ['prompt'] : [];
  }

  /** The plain names that this workflow has an input for. */
  offered(): readonly KnownInput[] {
    return knownInputs.filter((name) => typeof this.inputs.find(name) !== 'string');
  }

  #other(column: string, name: string): Found {
    const dot = column.lastIndexOf('.');
    return dot > 0
      ? this.inputs.exact(column.slice(0, dot).trim(), column.slice(dot + 1).trim())
      : this.inputs.byName(name);
  }

  /** What may stand there; undefined = a list. */
  takes(place: InputPlace): Takes | undefined {
    const { nodeId, input } = place;
    const value = this.inputs.valueAt(place);
    const classType = this.inputs.classOf(nodeId);
    if (isNumber(value)) {
      if (input === 'seed' || input === 'noise_seed') return 'seed';
      // A latent pixel stands for 8 × 8 of the picture.
      if (/^(width|height)$/.test(input) && /latent|ToVideo/i.test(classType)) return 'size';
      return integers.test(input) ? 'integer' : 'number';
    }
    if (typeof value === 'boolean') return 'boolean';
    if (typeof value === 'string') return input === 'image' && isImageLoader(classType) ? 'image' : 'text';
    return undefined;
  }
}
