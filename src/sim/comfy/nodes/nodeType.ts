import type { ProfileTraits } from '../profile.ts';
import type { Json, JsonObject } from '../pyJson.ts';
import type { Graph } from '../graph/graph.ts';
import type { Frame } from '../media/frame.ts';
import type { FileStore } from '../files/fileStore.ts';
import type { NodeInputs } from './nodeInputs.ts';

/** `[TYPE, OPTIONS?]` as in object_info; a list as TYPE is a classic combo. */
export type InputSpec = readonly [type: string | readonly Json[], options?: Readonly<JsonObject>];

/** What a class says about itself on one version; `objectInfo.ts` turns it into the reply of that version. */
export interface NodeFacts {
  /** null: the class has no display name of its own (V3 nodes of 0.8.0) */
  display: string | null;
  category: string;
  module: string;
  required?: Readonly<Record<string, InputSpec>>;
  optional?: Readonly<Record<string, InputSpec>>;
  hidden?: Readonly<Record<string, string>>;
  outputs: readonly (readonly [type: string, name: string])[];
  outputIsList?: readonly boolean[];
  outputNode?: boolean;
  /** Written against the newer node API, which sends more keys */
  v3?: boolean;
  deprecated?: boolean;
  experimental?: boolean;
  /** V1 classes that describe their outputs; a number where a class describes more than it has (inherited) */
  describesOutputs?: boolean | number;
  /** 0.33.0 only; absent = the class does not have the key */
  essentials?: string | null;
}

/** What a class may ask of the server when it describes itself: the folders' contents at this moment. */
export interface Lists {
  traits: ProfileTraits;
  models(folder: string): string[];
  inputFiles(): string[];
  inputFolders(): string[];
}

export interface NodeResult {
  outputs: unknown[];
  /** What `executed` and history carry; its values are lists */
  ui?: Record<string, Json[]>;
  /** Nodes created at run time; `outputs` may then hold links to them */
  expand?: Graph;
}

/** What a running node can do. Times are simulated ms. */
export interface NodeContext {
  nodeId: string;
  traits: ProfileTraits;
  files: FileStore;
  lists: Lists;
  /** For the text chunks of saved pictures */
  prompt: Graph;
  extraPngInfo: JsonObject;
  hardware: Hardware;
  /** Random number in [0, 1) from the simulator's seed */
  random(): number;
  now(): number;
  /** Waits; rejects when the worker is gone. */
  sleep(ms: number): Promise<void>;
  /** Reports progress, with a preview if the prompt wants one; throws when interrupted. */
  progress(value: number, max: number, preview?: () => Frame): void;
  /** Sends a text frame (event 3), to everyone. */
  text(text: string): void;
  throwIfInterrupted(): void;
}

/** The machine a node runs on: what is loaded, how fast it is, how much fits. */
export interface Hardware {
  speed: number;
  vramBytes: number;
  isCpu: boolean;
  loaded: Map<string, number>;
}

export interface NodeType {
  name: string;
  facts(lists: Lists): NodeFacts;
  run(inputs: NodeInputs, context: NodeContext): NodeResult | Promise<NodeResult>;
  /**
   * The class's own check. It names the inputs it takes (range and list checks are then its own business) and gives
   * the reason for refusing one, or undefined.
   */
  check?: { inputs: readonly string[]; refuse(input: string, value: Json, files: FileStore): string | undefined };
  /** The class takes keys that it does not declare (per-format widgets). */
  readsUndeclared?: boolean;
  /** Changes when the node must run again although its inputs are equal */
  fingerprint?(inputs: JsonObject, files: FileStore): string;
}
