import type { Json, JsonObject } from '../pyJson.ts';
import { pyStr } from '../pyJson.ts';
import { NodeError, type NodeValue } from '../nodes/nodeInputs.ts';

/** The prompt was interrupted. */
export class Interrupted extends Error {}

/** The process that ran this is gone; nobody is left to be told. */
export class WorkerGone extends Error {}

/** A missing link target or a cycle of run-time nodes: a bug of the graph, reported as a Python exception. */
const TORCH_OOM = 'torch.OutOfMemoryError';

/** The advice that ComfyUI appends to an out-of-memory message */
const OOM_TIPS =
  'This error means you ran out of memory on your GPU.\n\n' +
  'TIPS: If the workflow worked before you might have accidentally set the batch_size to a large number.';

export function outOfMemory(): NodeError {
  return new NodeError(TORCH_OOM, 'Allocation on device ');
}

export function isOutOfMemory(error: NodeError): boolean {
  return error.exceptionType === TORCH_OOM;
}

/** The `execution_error` payload without ids and timestamp (comfyui.md 2.5). */
export function failureJson(error: NodeError, inputs: Readonly<Record<string, unknown>>): JsonObject {
  const message = `${error.message}\n`;
  return {
    exception_message: isOutOfMemory(error) ? message + OOM_TIPS : message,
    exception_type: error.exceptionType,
    traceback: [
      '  File "/ComfyUI/execution.py", line 545, in execute\n',
      '  File "/ComfyUI/execution.py", line 344, in get_output_data\n',
      '  File "/ComfyUI/execution.py", line 318, in _async_map_node_over_list\n',
      '  File "/ComfyUI/execution.py", line 306, in process_inputs\n',
    ],
    current_inputs: Object.fromEntries(
      Object.entries(inputs).map(([name, value]): [string, Json] => [name, [shown(value)]]),
    ),
  };
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'kind' in value) {
    const node = value as NodeValue;
    return node.kind === 'image' ? 'tensor([[[[...' : `<${node.kind}>`;
  }
  return pyStr(value as Json);
}
