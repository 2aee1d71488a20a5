import type { FileStore } from '../files/fileStore.ts';
import type { Lists, NodeType } from '../nodes/nodeType.ts';
import { isObject, pyStr, type Json } from '../pyJson.ts';
import { type Graph } from './graph.ts';
import { promptError, ServerTrouble, ValidationCrash, type NodeErrors, type PromptError } from './promptError.ts';
import { InputValidator, VALIDATION_TRACEBACK } from './validateInputs.ts';

export type PromptVerdict =
  | { ok: true; graph: Graph; outputIds: string[]; nodeErrors: Record<string, NodeErrors> }
  | { ok: false; error: PromptError; nodeErrors: Record<string, NodeErrors> };

export interface ValidationWorld {
  types: ReadonlyMap<string, NodeType>;
  lists: Lists;
  files: FileStore;
}

/**
 * What `POST /prompt` checks before it queues (comfyui.md 1.3). Throws ServerTrouble where the server answers 500.
 */
export function validatePrompt(
  prompt: Json,
  targets: readonly string[] | undefined,
  world: ValidationWorld,
): PromptVerdict {
  const traits = world.lists.traits;
  if (Array.isArray(prompt) && !traits.listPromptFails && prompt.length === 0) return noOutputs();
  if (!isObject(prompt)) throw new ServerTrouble('the prompt is not a graph');
  const graph: Graph = {};
  for (const [id, node] of Object.entries(prompt)) {
    const refusal = classRefusal(id, node, world);
    if (refusal) return { ok: false, error: refusal, nodeErrors: {} };
    graph[id] = node as Graph[string];
  }
  const outputIds = Object.keys(graph).filter(
    (id) =>
      world.types.get(graph[id]?.class_type ?? '')?.facts(world.lists).outputNode === true &&
      (targets === undefined || targets.includes(id)),
  );
  if (outputIds.length === 0) return noOutputs();
  return validateOutputs(graph, outputIds, world);
}

function validateOutputs(graph: Graph, outputIds: string[], world: ValidationWorld): PromptVerdict {
  const validator = new InputValidator(graph, world.types, world.lists, world.files);
  const good: string[] = [];
  const messages: string[] = [];
  const nodeErrors: Record<string, NodeErrors> = {};
  for (const id of outputIds) {
    let errors: PromptError[];
    try {
      const verdict = validator.validate(id);
      if (verdict.valid) {
        good.push(id);
        continue;
      }
      errors = verdict.errors;
    } catch (crash) {
      if (!(crash instanceof ValidationCrash)) throw crash;
      errors = [outputCrash(crash)];
      validator.verdicts.set(id, { valid: false, errors });
    }
    messages.push(...errors.map((error) => `${error.message}: ${error.details}`));
    for (const [nodeId, verdict] of validator.verdicts) {
      // Nodes that are only downstream of a fault have no errors of their own and are not listed.
      if (verdict.valid || verdict.errors.length === 0) continue;
      entryOf(nodeErrors, graph, nodeId, verdict.errors).dependent_outputs.push(id);
    }
  }
  if (good.length > 0) return { ok: true, graph, outputIds: good, nodeErrors };
  const error = promptError(
    'prompt_outputs_failed_validation',
    'Prompt outputs failed validation',
    messages.join('\n'),
  );
  return { ok: false, error, nodeErrors };
}

function classRefusal(id: string, node: Json | undefined, world: ValidationWorld): PromptError | undefined {
  // Python asks "'class_type' in node": lists and strings can be asked that, numbers and null cannot.
  if (node === null || node === undefined || typeof node === 'number' || typeof node === 'boolean') {
    throw new ServerTrouble('a node is not a container');
  }
  const declared = isObject(node) ? node['class_type'] : undefined;
  const title = isObject(node) && isObject(node['_meta']) ? (node['_meta']['title'] ?? null) : null;
  if (declared === undefined) {
    return classError(id, undefined, title, world);
  }
  if (typeof declared === 'string' && world.types.has(declared)) return undefined;
  return classError(id, declared, title, world);
}

/** `classType` undefined: the node has none. */
function classError(id: string, classType: Json | undefined, title: Json, world: ValidationWorld): PromptError {
  const details = `Node ID '#${id}'`;
  const lacks = classType === undefined;
  if (world.lists.traits.unknownClassError === 'invalid_prompt') {
    const message = lacks
      ? 'Cannot execute because a node is missing the class_type property.'
      : `Cannot execute because node ${pyStr(classType)} does not exist.`;
    return promptError('invalid_prompt', message, details);
  }
  const named = title ?? (lacks ? null : classType);
  const message = lacks
    ? `Node '${named === null || named === '' ? `ID #${id}` : pyStr(named)}' has no class_type. ` +
      'The workflow may be corrupted or a custom node is missing.'
    : `Node '${pyStr(named)}' not found. The custom node may not be installed.`;
  return promptError('missing_node_type', message, details, {
    node_id: id,
    class_type: classType ?? null,
    node_title: named,
  });
}

function noOutputs(): PromptVerdict {
  return { ok: false, error: promptError('prompt_no_outputs', 'Prompt has no outputs'), nodeErrors: {} };
}

function outputCrash(crash: ValidationCrash): PromptError {
  return promptError('exception_during_validation', 'Exception when validating node', crash.message, {
    exception_type: crash.exceptionType,
    traceback: VALIDATION_TRACEBACK,
  });
}

function entryOf(all: Record<string, NodeErrors>, graph: Graph, id: string, errors: PromptError[]): NodeErrors {
  return (all[id] ??= { errors, dependent_outputs: [], class_type: graph[id]?.class_type ?? '' });
}
