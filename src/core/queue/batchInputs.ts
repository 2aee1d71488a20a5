import { isLink } from '../comfy/workflow.ts';
import type { Workflow } from '../comfy/workflow.ts';
import { isSampler, outputsOf } from '../gemini/graphFeatures.ts';
import { linkOf, upstreamOf } from '../gemini/readGraph.ts';
import { isImageLoader } from '../gemini/readInputImages.ts';
import { findPromptInputs } from '../gemini/readPrompt.ts';
import type { PromptSide } from '../gemini/readPrompt.ts';

/** A value in a workflow. */
export interface InputPlace {
  readonly nodeId: string;
  readonly input: string;
}

/** Where a value stands, or why that cannot be told: a sentence. */
export type Found = readonly InputPlace[] | string;

/** Values that may be meant by one name, of which each is another. */
interface Several {
  readonly either: readonly InputPlace[];
}

/** What a column may be called without naming a node. */
export const knownInputs = [
  'prompt',
  'negative',
  'seed',
  'width',
  'height',
  'steps',
  'cfg',
  'checkpoint',
  'image',
] as const;
export type KnownInput = (typeof knownInputs)[number];

const textHolders = ['text', 'prompt', 'value', 'string'];
const numberHolders = ['value', 'int', 'float', 'number', 'seed', 'noise_seed', 'Number'];
/** Inputs along which the picture travels to the sampler. */
const latentInputs = ['latent_image', 'latent', 'latents', 'samples', 'image_embeds', 'pixels', 'image', 'images'];
/** Chains of nodes that only pass a value on are short. */
const deepest = 6;

/** Finds the inputs of a workflow by what they are for, as the mapping to Gemini reads a graph. Pure. */
export class WorkflowInputs {
  readonly #workflow: Workflow;
  /** What the outputs need, nearest first; all nodes when there is no output. */
  readonly #active: readonly string[];
  readonly #samplers: readonly string[];

  constructor(workflow: Workflow) {
    this.#workflow = workflow;
    const outputs = outputsOf(workflow).map(({ id }) => id);
    this.#active = outputs.length === 0 ? Object.keys(workflow) : upstreamOf(workflow, outputs);
    this.#samplers = this.#active.filter((id) => isSampler(workflow[id]));
  }

  find(what: KnownInput): Found {
    return oneOf(this.#search(what));
  }

  /** By a plain name: each value that it means, with all the places of that value. */
  each(name: string): readonly (readonly InputPlace[])[] {
    const known = knownInputs.find((one) => one === name);
    const found = known === undefined ? this.#searchName(name) : this.#search(known);
    if (typeof found === 'string') return [];
    if ('either' in found) return found.either.map((place) => [place]);
    return found.length === 0 ? [] : [found];
  }

  #search(what: KnownInput): Found | Several {
    switch (what) {
      case 'prompt':
        return this.#texts('positive');
      case 'negative':
        return this.#texts('negative');
      case 'seed':
        return this.#seeds();
      case 'width':
      case 'height':
        return this.#size(what);
      case 'steps':
        return this.#settings('steps', ['steps']);
      case 'cfg':
        return this.#settings('cfg', ['cfg', 'guidance']);
      case 'checkpoint':
        return this.#named('checkpoint', ['ckpt_name', 'unet_name']);
      case 'image':
        return this.#images();
    }
  }

  /** An input by its bare name, when one active node alone has it as a value. */
  byName(name: string): Found {
    return oneOf(this.#searchName(name));
  }

  #searchName(name: string): Found | Several {
    const places = this.#active.flatMap((nodeId) =>
      Object.entries(this.#inputs(nodeId))
        .filter(([input, value]) => plainName(input) === name && !isLink(value))
        .map(([input]) => ({ nodeId, input })),
    );
    return places.length > 1 ? { either: places } : places;
  }

  /** `6.text`, or `Title.text`: the node by its id, its title or its class. */
  exact(node: string, input: string): Found {
    const ids = this.#nodesNamed(node);
    const [nodeId] = ids;
    if (nodeId === undefined) return `no node has the id, title or class '${node}'`;
    if (ids.length > 1)
      return `${ids.length} nodes are called '${node}': ${ids.map((id) => `${id}.${input}`).join(', ')}`;
    const inputs = this.#inputs(nodeId);
    const name = input in inputs ? input : Object.keys(inputs).find((one) => plainName(one) === plainName(input));
    const has = Object.keys(inputs).filter((one) => !isLink(inputs[one]));
    if (name === undefined) return `${this.describe(nodeId)} has no input '${input}'; it has ${list(has)}`;
    const source = linkOf(inputs[name]);
    if (source === undefined || !isLink(inputs[name])) return [{ nodeId, input: name }];
    return `'${name}' of ${this.describe(nodeId)} comes from ${this.describe(source.id)}`;
  }

  /** Every seed that stands as a number, in groups that are equal now. */
  seedGroups(): readonly (readonly InputPlace[])[] {
    const all = Object.keys(this.#workflow).flatMap((nodeId) =>
      ['seed', 'noise_seed']
        .filter((input) => isNumber(this.#inputs(nodeId)[input]))
        .map((input) => ({ nodeId, input })),
    );
    return [...Map.groupBy(all, (place) => JSON.stringify(this.valueAt(place))).values()];
  }

  valueAt({ nodeId, input }: InputPlace): unknown {
    return this.#inputs(nodeId)[input];
  }

  /** `node 5 (KSampler)` */
  describe(nodeId: string): string {
    const node = this.#workflow[nodeId];
    return node === undefined ? `node ${nodeId}` : `node ${nodeId} (${node._meta?.title ?? node.class_type})`;
  }

  classOf(nodeId: string): string {
    return this.#workflow[nodeId]?.class_type ?? '';
  }

  #inputs(nodeId: string): Readonly<Record<string, unknown>> {
    return this.#workflow[nodeId]?.inputs ?? {};
  }

  #nodesNamed(name: string): readonly string[] {
    if (this.#workflow[name] !== undefined) return [name];
    const nodes = Object.entries(this.#workflow);
    const title = (node: Workflow[string]): string => node._meta?.title?.trim() ?? '';
    const tests: readonly ((node: Workflow[string]) => boolean)[] = [
      (node) => title(node) === name,
      (node) => title(node).toLowerCase() === name.toLowerCase(),
      (node) => node.class_type.toLowerCase() === name.toLowerCase(),
    ];
    for (const test of tests) {
      const found = nodes.filter(([, node]) => test(node)).map(([id]) => id);
      if (found.length > 0) return found;
    }
    return [];
  }

  #texts(side: PromptSide): Found | Several {
    const encoders = this.#samplers.flatMap((sampler) => findPromptInputs(this.#workflow, sampler, side));
    if (encoders.length === 0) return `no sampler of this workflow gets a ${side} text`;
    const places: InputPlace[] = [];
    for (const encoder of unique(encoders)) {
      const holder = this.#holder(encoder, textHolders, 'string');
      if (holder === undefined) {
        return `the text of ${this.describe(encoder.nodeId)} is joined from several nodes: name the node and input to set`;
      }
      places.push(holder);
    }
    const found = unique(places);
    const nodes = new Set(found.map(({ nodeId }) => nodeId));
    const texts = new Set(found.map((place) => this.valueAt(place)));
    return nodes.size > 1 && texts.size > 1 ? { either: found } : found;
  }

  #seeds(): Found {
    const names = ['seed', 'noise_seed'];
    const drawn = this.#active.filter((id) => this.#samplers.includes(id) || /noise/i.test(this.classOf(id)));
    const near = this.#places(drawn, names, numberHolders, 'number');
    const found = near.length > 0 ? near : this.#places(this.#active, names, numberHolders, 'number');
    return found.length > 0 ? found : 'this workflow has no seed';
  }

  /** Of the sampler, else of what feeds it. */
  #settings(what: string, names: readonly string[]): Found | Several {
    const own = this.#places(this.#samplers, names, numberHolders, 'number');
    const found = own.length > 0 ? own : this.#places(this.#active, names, numberHolders, 'number');
    if (found.length === 0) return `no sampler of this workflow has ${what}`;
    const values = new Set(found.map((place) => JSON.stringify(this.valueAt(place))));
    return values.size > 1 ? { either: found } : found;
  }

  #named(what: string, names: readonly string[]): Found | Several {
    for (const name of names) {
      const found = this.#places(this.#active, [name], textHolders, 'string');
      if (found.length > 0) return found.length > 1 ? { either: found } : found;
    }
    return `no node of this workflow loads a ${what}`;
  }

  #images(): Found | Several {
    const loaders = this.#active.filter((id) => isImageLoader(this.classOf(id)));
    const found = this.#places(loaders, ['image'], textHolders, 'string');
    if (found.length === 0) return 'no node of this workflow loads an image';
    return found.length > 1 ? { either: found } : found;
  }

  /** Where the picture begins: the last node with a size on the way back from the outputs. */
  #size(side: 'width' | 'height'): Found | Several {
    const sized = (id: string): boolean => 'width' in this.#inputs(id) && 'height' in this.#inputs(id);
    const starts = new Set<string>();
    for (const sampler of this.#samplers) {
      const seen = new Set<string>();
      let last: string | undefined;
      let id: string | undefined = sampler;
      while (id !== undefined && !seen.has(id)) {
        seen.add(id);
        if (sized(id)) last = id;
        const inputs = this.#inputs(id);
        id = latentInputs.map((name) => linkOf(inputs[name])?.id).find((next) => next !== undefined);
      }
      if (last !== undefined) starts.add(last);
    }
    const nodes = starts.size > 0 ? [...starts] : this.#active.filter(sized);
    const found = this.#places(nodes, [side], numberHolders, 'number');
    if (found.length === 0) return `no node of this workflow sets the ${side}`;
    return found.length > 1 ? { either: found } : found;
  }

  #places(
    nodes: readonly string[],
    names: readonly string[],
    holders: readonly string[],
    type: 'string' | 'number',
  ): readonly InputPlace[] {
    const own = nodes.flatMap((nodeId) =>
      names.filter((input) => input in this.#inputs(nodeId)).map((input) => ({ nodeId, input })),
    );
    return unique(own.flatMap((place) => this.#holder(place, holders, type) ?? []));
  }

  /** Where a value stands that may be linked to a node which only holds it; undefined when several make it. */
  #holder(place: InputPlace, names: readonly string[], type: 'string' | 'number', depth = 0): InputPlace | undefined {
    const value = this.valueAt(place);
    if (type === 'string' ? typeof value === 'string' : isNumber(value)) return place;
    const source = linkOf(value)?.id;
    if (source === undefined || depth > deepest) return undefined;
    const inputs = this.#inputs(source);
    const found = names
      .filter((input) => input in inputs)
      .flatMap((input) => this.#holder({ nodeId: source, input }, names, type, depth + 1) ?? []);
    return found.length === 1 ? found[0] : undefined;
  }
}

function oneOf(found: Found | Several): Found {
  if (typeof found === 'string' || !('either' in found)) return found;
  const names = found.either.map(({ nodeId, input }) => `${nodeId}.${input}`);
  return `it could mean ${list(names, 'or')}: use such a name`;
}

/** As columns are compared: `Negative Prompt` → `negative_prompt`. */
export function plainName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[\s-]+/g, '_');
}

/** Seeds beyond 2^53 are kept as raw JSON numbers when a file is read. */
export function isNumber(value: unknown): boolean {
  if (typeof value === 'number') return true;
  return typeof value === 'object' && value !== null && !Array.isArray(value) && /^-?\d+$/.test(JSON.stringify(value));
}

function unique(places: readonly InputPlace[]): readonly InputPlace[] {
  return [...new Map(places.map((place) => [`${place.nodeId}.${place.input}`, place])).values()];
}

/** 'a, b or c'; at most six. */
function list(names: readonly string[], word: 'and' | 'or' = 'and'): string {
  if (names.length === 0) return 'none';
  if (names.length > 6) return `${names.slice(0, 6).join(', ')} ${word} ${names.length - 6} more`;
  return names.length === 1 ? `${names[0]}` : `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1)}`;
}
