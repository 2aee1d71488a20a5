import type { ObjectInfo } from '../comfy/wire.ts';
import type { Workflow } from '../comfy/workflow.ts';

/** A node class, or with `input` and `value` an entry of one of its lists, such as a model file. */
export interface Part {
  readonly nodeClass: string;
  readonly input?: string;
  readonly value?: string;
}

/** What ComfyUI servers have, as far as they were asked, by their addresses. */
export class Contents {
  readonly #seen = new Map<string, Map<string, ObjectInfo[string] | undefined>>();

  /** `info` lacks a class that was asked for: so does the server. */
  note(address: string, asked: readonly string[], info: ObjectInfo): void {
    const seen = this.#seen.get(address) ?? new Map<string, ObjectInfo[string] | undefined>();
    for (const name of asked) seen.set(name, info[name]);
    this.#seen.set(address, seen);
  }

  /** Undefined = not known. */
  has(address: string, { nodeClass, input, value }: Part): boolean | undefined {
    const seen = this.#seen.get(address);
    if (seen?.has(nodeClass) !== true) return undefined;
    const info = seen.get(nodeClass);
    if (info === undefined) return false;
    if (input === undefined || value === undefined) return true;
    const listed = listedValues(info.input?.required?.[input] ?? info.input?.optional?.[input]);
    return listed?.includes(plain(value));
  }
}

/** Everything in a workflow that a server may lack: its classes, and the texts that may stand in a list. */
export function partsOf(workflow: Workflow): readonly Part[] {
  const parts = new Map<string, Part>();
  for (const { class_type: nodeClass, inputs } of Object.values(workflow)) {
    parts.set(nodeClass, { nodeClass });
    for (const [input, value] of Object.entries(inputs)) {
      if (typeof value === 'string' && value !== '')
        parts.set(`${nodeClass}\0${input}\0${value}`, { nodeClass, input, value });
    }
  }
  return [...parts.values()];
}

/**
 * The list is the type itself in the classic form, and in `options` in the newer one (comfyui.md 4.2). Undefined where
 * there is none, and where it does not bind: files can be uploaded to it.
 */
function listedValues(spec: unknown): readonly string[] | undefined {
  if (!Array.isArray(spec)) return undefined;
  const [type, options] = spec as [unknown, Readonly<Record<string, unknown>> | undefined];
  if (Object.keys(options ?? {}).some((name) => name.endsWith('_upload'))) return undefined;
  const list = Array.isArray(type) ? type : options?.options;
  return Array.isArray(list) ? list.map((entry) => plain(String(entry))) : undefined;
}

/** Windows servers list paths with `\`. */
function plain(name: string): string {
  return name.replaceAll('\\', '/');
}
