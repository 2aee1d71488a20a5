import type { Frame } from '../media/frame.ts';

/** A picture batch: ComfyUI's IMAGE. */
export interface ImageValue {
  kind: 'image';
  frames: Frame[];
}

/** ComfyUI's LATENT: a size in pixels and, once painted or encoded, the pictures it stands for. */
export interface LatentValue {
  kind: 'latent';
  width: number;
  height: number;
  count: number;
  frames?: Frame[];
  mask?: MaskValue;
}

export interface MaskValue {
  kind: 'mask';
  masks: { width: number; height: number; data: Uint8Array }[];
}

export type ModelFamily = 'sd15' | 'sdxl' | 'video';

export interface ModelValue {
  kind: 'model';
  file: string;
  family: ModelFamily;
  /** What was put on the model (LoRA, adapters, motion modules), as text that changes the picture */
  patches: string[];
}

export interface ClipValue {
  kind: 'clip';
  file: string;
}

export interface VaeValue {
  kind: 'vae';
  file: string;
}

export interface ConditioningValue {
  kind: 'conditioning';
  text: string;
  hints: string[];
}

export interface VideoValue {
  kind: 'video';
  frames: Frame[];
  fps: number;
}

/** Anything that only has to be passed on: loaders of packs, samplers, sigmas, training results. */
export interface OpaqueValue {
  kind: 'opaque';
  type: string;
  name: string;
}

export type NodeValue =
  | ImageValue
  | LatentValue
  | MaskValue
  | ModelValue
  | ClipValue
  | VaeValue
  | ConditioningValue
  | VideoValue
  | OpaqueValue;

type ValueOf<K extends NodeValue['kind']> = Extract<NodeValue, { kind: K }>;

/** A node's exception: the class name that Python would report, and the message. */
export class NodeError extends Error {
  readonly exceptionType: string;

  constructor(exceptionType: string, message: string) {
    super(message);
    this.exceptionType = exceptionType;
  }
}

/** The resolved inputs of a running node, read by the kind that the node needs. */
export class NodeInputs {
  readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.values = values;
  }

  has(name: string): boolean {
    return this.values[name] !== undefined;
  }

  number(name: string, fallback?: number): number {
    const value = this.values[name];
    if (typeof value === 'number') return value;
    if (typeof value === 'bigint') return Number(value);
    if (fallback !== undefined) return fallback;
    throw new NodeError('TypeError', `${name} is not a number`);
  }

  /** A seed, exact beyond 2^53 */
  bigint(name: string): bigint {
    const value = this.values[name];
    return typeof value === 'bigint' ? value : BigInt(Math.trunc(this.number(name)));
  }

  text(name: string, fallback?: string): string {
    const value = this.values[name];
    if (typeof value === 'string') return value;
    if (fallback !== undefined) return fallback;
    throw new NodeError('TypeError', `${name} is not a string`);
  }

  flag(name: string, fallback = false): boolean {
    const value = this.values[name];
    return typeof value === 'boolean' ? value : fallback;
  }

  value<K extends NodeValue['kind']>(kind: K, name: string): ValueOf<K> {
    const value = this.maybe(kind, name);
    if (value === undefined) throw new NodeError('AttributeError', `${name} is not a ${kind}`);
    return value;
  }

  maybe<K extends NodeValue['kind']>(kind: K, name: string): ValueOf<K> | undefined {
    const value = this.values[name];
    if (typeof value !== 'object' || value === null || (value as NodeValue).kind !== kind) return undefined;
    return value as ValueOf<K>;
  }

  frames(name: string): Frame[] {
    return this.value('image', name).frames;
  }
}
