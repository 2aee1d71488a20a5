import { Fault } from '../kernel/fault.ts';
import type { ObjectInfo } from '../comfy/wire.ts';
import type { Workflow } from '../comfy/workflow.ts';

/**
 * Gives every checkpoint loader whose name is empty the wanted checkpoint, or the first one the server has. The name is
 * spelled as the server spells it: Windows servers list paths with `\`.
 * @throws Fault 'mismatch' when the server has none, or not the wanted one
 */
export function fillCheckpoint(workflow: Workflow, info: ObjectInfo, wanted: string | undefined): Workflow {
  const available = checkpointNames(info);
  const plain = (name: string): string => name.replaceAll('\\', '/');
  const chosen = wanted === undefined ? available[0] : available.find((name) => plain(name) === plain(wanted));
  if (chosen === undefined) {
    const what = wanted === undefined ? 'no checkpoint at all' : `no checkpoint '${wanted}'`;
    throw new Fault('mismatch', `This backend has ${what}`, {
      delivered: 'no',
      nextStep:
        available.length > 0
          ? `It has: ${available.slice(0, 5).join(', ')}.`
          : "Put a model into its 'models/checkpoints' folder.",
    });
  }
  return Object.fromEntries(
    Object.entries(workflow).map(([id, node]) =>
      node.class_type === 'CheckpointLoaderSimple' && node.inputs.ckpt_name === ''
        ? [id, { ...node, inputs: { ...node.inputs, ckpt_name: chosen } }]
        : [id, node],
    ),
  );
}

/** The list is the type itself in the classic form, and in `options` in the newer one (comfyui.md 4.2). */
export function checkpointNames(info: ObjectInfo): readonly string[] {
  const spec = info.CheckpointLoaderSimple?.input?.required?.ckpt_name;
  if (!Array.isArray(spec)) return [];
  const [type, options] = spec as [unknown, { options?: unknown } | undefined];
  const list = Array.isArray(type) ? type : options?.options;
  return Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : [];
}
