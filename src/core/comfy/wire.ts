// What ComfyUI servers send, as far as we read it (observed on 0.3.64, 0.8.0 and 0.33.0). More keys may come.
import * as z from 'zod/mini';

export const promptInfo = z.object({ exec_info: z.object({ queue_remaining: z.number() }) });

export const systemStats = z.object({
  system: z.looseObject({
    comfyui_version: z.optional(z.nullable(z.string())),
    os: z.optional(z.string()),
    pytorch_version: z.optional(z.nullable(z.string())),
  }),
  devices: z.array(
    z.looseObject({
      name: z.string(),
      type: z.string(),
      vram_total: z.optional(z.nullable(z.number())),
      vram_free: z.optional(z.nullable(z.number())),
    }),
  ),
});
export type SystemStats = z.infer<typeof systemStats>;

const nodeError = z.looseObject({
  class_type: z.optional(z.nullable(z.string())),
  errors: z.array(
    z.looseObject({
      type: z.string(),
      message: z.optional(z.string()),
      details: z.optional(z.string()),
      extra_info: z.optional(z.looseObject({ input_name: z.optional(z.string()) })),
    }),
  ),
});
/** An old server sends `[]` where it has none. */
export const nodeErrors = z.union([z.record(z.string(), nodeError), z.array(z.unknown())]);
export type NodeErrors = Readonly<Record<string, z.infer<typeof nodeError>>>;

export const submitted = z.object({ prompt_id: z.string(), node_errors: z.optional(nodeErrors) });

export const submitRefused = z.object({
  error: z.union([
    z.string(),
    z.looseObject({
      type: z.string(),
      message: z.string(),
      details: z.optional(z.string()),
      extra_info: z.optional(z.looseObject({})),
    }),
  ]),
  node_errors: z.optional(nodeErrors),
});

const outputs = z.record(z.string(), z.nullable(z.record(z.string(), z.unknown())));
export type WireOutputs = z.infer<typeof outputs>;

const status = z.looseObject({
  status_str: z.optional(z.string()),
  completed: z.optional(z.boolean()),
  messages: z.optional(z.array(z.tuple([z.string(), z.looseObject({})]))),
});

export const historyEntry = z.looseObject({ outputs, status: z.optional(z.nullable(status)) });
export type HistoryEntry = z.infer<typeof historyEntry>;
export const history = z.record(z.string(), historyEntry);

const queueEntry = z.array(z.unknown());
export const queue = z.object({ queue_running: z.array(queueEntry), queue_pending: z.array(queueEntry) });

export const fileEntry = z.looseObject({
  filename: z.string(),
  subfolder: z._default(z.string(), ''),
  type: z._default(z.string(), 'output'),
});

export const uploaded = z.object({
  name: z.string(),
  subfolder: z._default(z.string(), ''),
  type: z.optional(z.string()),
});

export const objectInfo = z.record(
  z.string(),
  z.looseObject({
    input: z.optional(
      z.looseObject({
        required: z.optional(z.record(z.string(), z.unknown())),
        optional: z.optional(z.record(z.string(), z.unknown())),
      }),
    ),
    python_module: z.optional(z.string()),
    output_node: z.optional(z.boolean()),
  }),
);
export type ObjectInfo = z.infer<typeof objectInfo>;

export const cancelled = z.object({ cancelled: z.boolean() });
export const nothing = z.unknown();

export const executionError = z.looseObject({
  node_id: z.optional(z.nullable(z.union([z.string(), z.number()]))),
  node_type: z.optional(z.nullable(z.string())),
  exception_message: z.optional(z.nullable(z.string())),
  exception_type: z.optional(z.nullable(z.string())),
});
