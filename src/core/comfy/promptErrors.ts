import type * as z from 'zod/mini';
import { Fault } from '../kernel/fault.ts';
import * as wire from './wire.ts';
import type { HistoryEntry, NodeErrors } from './wire.ts';

/** Errors that say 'not on this server', where another backend may have what is missing. */
const missingHere = new Set(['value_not_in_list']);

/** The 400 of `POST /prompt`: a mismatch with this server, or a mistake in the workflow, with node and input named. */
export function refusedFault(refused: z.infer<typeof wire.submitRefused>): Fault {
  const { error } = refused;
  if (typeof error === 'string') return new Fault('rejected', error, { status: 400, delivered: 'no' });
  const nodeType = missingClassOf(error);
  if (nodeType !== undefined) {
    return new Fault('mismatch', `The node ${nodeType} is not installed there`, {
      status: 400,
      delivered: 'no',
      nodeType,
      nextStep: 'Install the node pack there, or use a backend that has it.',
    });
  }
  const listed = Array.isArray(refused.node_errors) ? {} : (refused.node_errors ?? {});
  return (
    nodeErrorsFault(listed) ??
    new Fault('rejected', [error.message, error.details].filter(Boolean).join(': '), {
      status: 400,
      delivered: 'no',
    })
  );
}

/** The class that the server lacks: in a field since 0.33.0, before that in the sentence only (comfyui.md 1.3). */
function missingClassOf(error: Exclude<z.infer<typeof wire.submitRefused>['error'], string>): string | undefined {
  if (error.type === 'missing_node_type') {
    const named = error.extra_info?.class_type;
    return typeof named === 'string' ? named : undefined;
  }
  if (error.type !== 'invalid_prompt') return undefined;
  return /because node '?(.+?)'? does not exist/.exec(error.message)?.[1];
}

/** The errors of single nodes, all of them in the message; undefined when there are none. */
export function nodeErrorsFault(listed: NodeErrors): Fault | undefined {
  const found = Object.entries(listed).flatMap(([nodeId, node]) =>
    node.errors.map((error) => ({ nodeId, node, error })),
  );
  const first = found[0];
  if (first === undefined) return undefined;
  const lines = found.map(({ nodeId, node, error }) => {
    const name = `${node.class_type ?? 'node'} (node ${nodeId})`;
    return `${name}: ${error.message ?? error.type}${error.details ? ` (${error.details})` : ''}`;
  });
  const kind = found.every(({ error }) => missingHere.has(error.type)) ? 'mismatch' : 'rejected';
  const input = first.error.extra_info?.input_name;
  return new Fault(kind, lines.join('; '), {
    status: 400,
    delivered: 'no',
    nodeId: first.nodeId,
    ...(first.node.class_type ? { nodeType: first.node.class_type } : {}),
    ...(input === undefined ? {} : { input }),
    nextStep:
      kind === 'mismatch'
        ? 'Choose a value that this backend has, or use another backend.'
        : 'Correct the input in the workflow.',
  });
}

/** Why a finished prompt has no result, or undefined when it succeeded. */
export function endFault(entry: HistoryEntry): Fault | undefined {
  if (entry.status === undefined || entry.status === null) return undefined;
  if (entry.status.completed !== false && entry.status.status_str !== 'error') return undefined;
  const messages = entry.status.messages ?? [];
  if (messages.some(([type]) => type === 'execution_interrupted')) {
    return new Fault('jobFailed', 'The run was interrupted on the server', {
      delivered: 'yes',
      nextStep: 'Run it again.',
    });
  }
  const data = messages.findLast(([type]) => type === 'execution_error')?.[1];
  const parsed = wire.executionError.safeParse(data);
  const error = parsed.success ? parsed.data : {};
  const nodeId = error.node_id === undefined || error.node_id === null ? undefined : String(error.node_id);
  const nodeType = error.node_type ?? undefined;
  const facts = {
    delivered: 'yes',
    ...(nodeId === undefined ? {} : { nodeId }),
    ...(nodeType === undefined ? {} : { nodeType }),
  } as const;
  const where = nodeType === undefined ? '' : ` in ${nodeType} (node ${nodeId ?? '?'})`;
  const reason = (error.exception_message ?? error.exception_type ?? 'no reason given').trim().split('\n')[0] ?? '';
  if (/OutOfMemoryError/.test(error.exception_type ?? '')) {
    return new Fault('outOfMemory', `Out of GPU memory${where}`, {
      ...facts,
      nextStep: 'Use a smaller size or batch, or a backend with more memory.',
    });
  }
  return new Fault('jobFailed', `Failed${where}: ${reason}`, {
    ...facts,
    nextStep: 'Correct the workflow and run it again.',
  });
}
