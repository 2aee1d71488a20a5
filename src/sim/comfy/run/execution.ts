import type { FaultBox } from '../faults.ts';
import { isLink, type Graph } from '../graph/graph.ts';
import { declaredInputs } from '../graph/validateInputs.ts';
import type { Frame } from '../media/frame.ts';
import { NodeError, NodeInputs } from '../nodes/nodeInputs.ts';
import type { NodeContext, NodeResult, NodeType } from '../nodes/nodeType.ts';
import { isObject, type Json, type JsonObject } from '../pyJson.ts';
import type { ValidationWorld } from '../graph/validatePrompt.ts';
import { ExecutionList } from './executionList.ts';
import { failureJson, Interrupted, isOutOfMemory, outOfMemory, WorkerGone } from './nodeFailure.ts';
import { WorkerDeath, type OutputCache } from './outputCache.ts';
import type { QueueItem } from './promptQueue.ts';
import type { RunEvents } from './runEvents.ts';

/** A node kept its output back; whoever needs it is skipped, with this message if there is one. */
export class BlockedOutput {
  readonly message: string | undefined;

  constructor(message: string | undefined) {
    this.message = message;
  }
}

/** What a run needs from the process it runs in. */
export interface ExecutionWorld extends ValidationWorld {
  cache: OutputCache;
  faults: FaultBox;
  /** Builds what a node may do; `progress` has already been wired to the events. */
  contextOf(execution: Execution, nodeId: string): NodeContext;
  /** Lets sockets and requests in; rejects when the worker is gone. */
  breathe(): Promise<void>;
  /** An out-of-memory error unloads all models. */
  unloadModels(): void;
  /** Called when a node really runs (not from the cache). */
  ran(nodeId: string, classType: string): void;
}

export interface ExecutionOutcome {
  success: boolean;
  outputs: JsonObject;
  meta: JsonObject;
}

/** One run of one prompt. */
export class Execution {
  readonly item: QueueItem;
  readonly events: RunEvents;
  /** Polled between nodes and at each step. */
  interrupted = false;
  readonly #world: ExecutionWorld;
  readonly #graph: Graph;
  readonly #origins: Map<string, { displayId: string; parentId: string | null }>;
  readonly #results = new Map<string, unknown[]>();
  readonly #ui = new Map<string, Record<string, Json[]>>();
  readonly #executed = new Set<string>();
  /** Nodes that wait for what they created at run time */
  readonly #expanded = new Map<string, NodeResult>();
  readonly #list: ExecutionList;

  constructor(item: QueueItem, events: RunEvents, world: ExecutionWorld, origins: Execution['originMap']) {
    this.item = item;
    this.events = events;
    this.#world = world;
    this.#graph = { ...item.graph };
    this.#origins = origins;
    this.#list = new ExecutionList(
      this.#graph,
      (id) => this.#world.cache.get(id) !== undefined,
      (id) => this.#typeOf(id)?.facts(this.#world.lists).outputNode === true,
    );
  }

  get originMap(): Map<string, { displayId: string; parentId: string | null }> {
    return this.#origins;
  }

  throwIfInterrupted(): void {
    if (this.interrupted) throw new Interrupted();
  }

  progress(id: string, value: number, max: number, preview: Frame | undefined): void {
    this.throwIfInterrupted();
    this.events.progress(id, value, max, preview);
  }

  /** Runs to the end, to the first failure, or to the interrupt. Throws WorkerDeath and WorkerGone only. */
  async run(): Promise<ExecutionOutcome> {
    const promptId = this.item.promptId;
    this.events.message('execution_start', { prompt_id: promptId });
    this.#world.cache.begin(this.#graph, this.#world.types, this.#world.files);
    const cached = Object.keys(this.#graph).filter((id) => this.#world.cache.get(id) !== undefined);
    this.events.message('execution_cached', { nodes: cached, prompt_id: promptId });
    for (const id of this.item.outputIds) this.#list.add(id);
    let success = true;
    while (success && !this.#list.isEmpty) {
      const id = this.#list.next();
      if (id === undefined) break;
      success = await this.#step(id);
    }
    if (success) this.events.message('execution_success', { prompt_id: promptId });
    return { success, ...this.#outputs() };
  }

  /** False ends the run. */
  async #step(id: string): Promise<boolean> {
    const classType = this.#graph[id]?.class_type ?? '';
    const cached = this.#world.cache.get(id);
    if (cached) {
      this.events.executed(id, (cached.ui as JsonObject | undefined) ?? null);
      const lost = this.#world.lists.traits.losesCachedOutputsWithoutClient && this.events.clientId === undefined;
      if (cached.ui && !lost) this.#ui.set(id, cached.ui);
      this.events.finished(id);
      this.#results.set(id, cached.outputs);
      this.#list.complete(id);
      return true;
    }
    const inputs = this.#resolveInputs(id);
    try {
      await this.#world.breathe();
      this.throwIfInterrupted();
      return await this.#execute(id, classType, inputs);
    } catch (failure) {
      return this.#fail(id, classType, inputs, failure);
    }
  }

  async #execute(id: string, classType: string, inputs: Record<string, unknown>): Promise<boolean> {
    const waiting = this.#expanded.get(id);
    if (waiting) {
      this.#expanded.delete(id);
      this.#keep(id, { ...waiting, outputs: waiting.outputs.map((output) => this.#follow(output)) });
      return true;
    }
    this.events.started(id);
    this.#world.ran(id, classType);
    const blocked = Object.values(inputs).find((value) => value instanceof BlockedOutput);
    if (blocked instanceof BlockedOutput) {
      this.#block(id, classType, blocked);
      return true;
    }
    this.#strike(id, classType);
    const type = this.#typeOf(id);
    if (type === undefined) throw new NodeError('KeyError', `'${classType}'`);
    const result = await type.run(new NodeInputs(inputs), this.#world.contextOf(this, id));
    if (result.expand) {
      this.#expand(id, result, result.expand);
      return true;
    }
    this.#keep(id, result);
    return true;
  }

  #keep(id: string, result: NodeResult): void {
    const ui = this.#renamed(result.ui);
    if (ui) {
      this.#ui.set(id, ui);
      this.events.executed(id, ui);
    }
    this.events.finished(id);
    this.#results.set(id, result.outputs);
    this.#world.cache.set(id, { outputs: result.outputs, ui });
    this.#executed.add(id);
    this.#list.complete(id);
  }

  #block(id: string, classType: string, blocked: BlockedOutput): void {
    if (blocked.message !== undefined) {
      this.events.blocked({
        prompt_id: this.item.promptId,
        node_id: id,
        node_type: classType,
        executed: [...this.#executed],
        exception_message: `Execution Blocked: ${blocked.message}`,
        exception_type: 'ExecutionBlocked',
        traceback: [],
        current_inputs: {},
        current_outputs: [],
      });
    }
    const count = this.#typeOf(id)?.facts(this.#world.lists).outputs.length ?? 0;
    this.events.finished(id);
    this.#results.set(
      id,
      Array.from({ length: count }, () => new BlockedOutput(undefined)),
    );
    this.#executed.add(id);
    this.#list.complete(id);
  }

  /** Adds the nodes that a node created; it comes back when they are done. */
  #expand(id: string, result: NodeResult, added: Graph): void {
    Object.assign(this.#graph, added);
    for (const newId of Object.keys(added)) {
      this.#origins.set(newId, { displayId: this.#origins.get(id)?.displayId ?? id, parentId: id });
    }
    this.#world.cache.extend(added, this.#graph, this.#world.types, this.#world.files);
    this.#expanded.set(id, result);
    for (const output of result.outputs) {
      if (isLink(output as Json) && !this.#world.cache.get((output as [string, number])[0])) {
        this.#list.addEdge((output as [string, number])[0], id);
      }
    }
  }

  #fail(id: string, classType: string, inputs: Record<string, unknown>, failure: unknown): boolean {
    if (failure instanceof WorkerGone || failure instanceof WorkerDeath) throw failure;
    const common = {
      prompt_id: this.item.promptId,
      node_id: this.#origins.get(id)?.displayId ?? id,
      node_type: classType,
      executed: [...this.#executed],
    };
    if (failure instanceof Interrupted) {
      this.events.message('execution_interrupted', common, true);
      return false;
    }
    const error = failure instanceof NodeError ? failure : new NodeError('RuntimeError', String(failure));
    if (isOutOfMemory(error)) this.#world.unloadModels();
    this.events.message('execution_error', {
      ...common,
      ...failureJson(error, inputs),
      current_outputs: Object.keys(this.#graph),
    });
    return false;
  }

  /** Injected failures of nodes */
  #strike(id: string, classType: string): void {
    const { failNode, oom } = this.#world.faults.current;
    if (failNode && (failNode.classType ?? classType) === classType && (failNode.nodeId ?? id) === id) {
      if (this.#world.faults.strikes('failNode', failNode.times)) {
        throw new NodeError(failNode.exceptionType ?? 'RuntimeError', failNode.message);
      }
    }
    if (oom) {
      const limits = oom === true ? {} : oom;
      const hit = limits.classType === undefined ? classType.includes('Sampler') : limits.classType === classType;
      if (hit && this.#world.faults.strikes('oom', limits.times)) throw outOfMemory();
    }
  }

  #resolveInputs(id: string): Record<string, unknown> {
    const node = this.#graph[id];
    const declared = new Set(
      declaredInputs(
        this.#typeOf(id)?.facts(this.#world.lists) ?? { display: '', category: '', module: '', outputs: [] },
      ).map(([name]) => name),
    );
    const values: Record<string, unknown> = {};
    const extras: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(isObject(node?.inputs) ? node.inputs : {})) {
      if (declared.has(name)) values[name] = this.#follow(value);
      else if (!isLink(value)) extras[name] = value;
    }
    // Undeclared keys are ignored, but for the classes that read them on purpose (per-format widgets).
    return this.#typeOf(id)?.readsUndeclared ? { ...extras, ...values } : values;
  }

  #follow(value: unknown): unknown {
    if (!isLink(value as Json)) return value;
    const [source, slot] = value as [string, number];
    const known = this.#results.get(source) ?? this.#world.cache.get(source)?.outputs;
    return known?.[slot];
  }

  /** The hostile-name fault: what the server reports is not what it wrote. */
  #renamed(ui: Record<string, Json[]> | undefined): Record<string, Json[]> | undefined {
    const name = this.#world.faults.current.filename;
    if (ui === undefined || name === undefined) return ui;
    const rename = (entry: Json): Json =>
      isObject(entry) && typeof entry['filename'] === 'string' ? { ...entry, filename: name } : entry;
    return Object.fromEntries(Object.entries(ui).map(([key, entries]) => [key, entries.map(rename)]));
  }

  #outputs(): { outputs: JsonObject; meta: JsonObject } {
    const outputs: JsonObject = {};
    const meta: JsonObject = {};
    for (const [id, ui] of this.#ui) {
      outputs[id] = ui;
      const origin = this.#origins.get(id);
      meta[id] = {
        node_id: id,
        display_node: origin?.displayId ?? id,
        parent_node: origin?.parentId ?? null,
        real_node_id: origin?.displayId ?? id,
      };
    }
    return { outputs, meta };
  }

  #typeOf(id: string): NodeType | undefined {
    return this.#world.types.get(this.#graph[id]?.class_type ?? '');
  }
}
