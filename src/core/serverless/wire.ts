// The shapes of RunPod Serverless as it answers, read tolerantly: only what we act on is required (API v2, Endpoint and
// Worker; RunPod docs, serverless/endpoints/send-requests for the job API).
import * as z from 'zod/mini';

const optionalText = z.nullish(z.string());
const optionalNumber = z.nullish(z.number());
const count = z.catch(z.optional(z.number()), undefined);

/** It becomes part of addresses, so nothing but letters, digits, '-' and '_' is taken. */
export const remoteId = z.string().check(z.regex(/^[A-Za-z0-9_-]{1,128}$/));

export const endpointReply = z.object({
  id: remoteId,
  name: z.string(),
  type: optionalText,
  image: optionalText,
  gpu: z.nullish(
    z.object({
      pools: z.array(z.string()),
      excludedTypes: z.nullish(z.array(z.string())),
      count: optionalNumber,
    }),
  ),
  workers: z.object({ min: z.number(), max: z.number(), idleTimeout: optionalNumber }),
  dataCenterIds: z.nullish(z.array(z.string())),
  networkVolumes: z.nullish(z.array(z.string())),
  /** ms; a server that was told none has been seen to say 0 */
  timeout: optionalNumber,
  flashboot: optionalText,
  createdAt: optionalText,
});
export type EndpointReply = z.infer<typeof endpointReply>;

/** Older servers send no `pagination`: one page is then all there is. */
export const endpointListReply = z.object({
  endpoints: z.array(endpointReply),
  pagination: z.nullish(z.object({ nextCursor: optionalText, hasNextPage: z.nullish(z.boolean()) })),
});

export const workerListReply = z.object({
  workers: z.array(
    z.object({
      id: z.string(),
      status: z.string(),
      gpuCount: optionalNumber,
      gpuTypeId: optionalText,
      uptimeSeconds: optionalNumber,
      dataCenterId: optionalText,
      isStale: z.nullish(z.boolean()),
    }),
  ),
});

export const serverlessPriceReply = z.object({
  gpus: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      pool: optionalText,
      /** USD per GPU and hour */
      price: z.object({ serverless: optionalNumber }),
    }),
  ),
});

export const submittedReply = z.object({ id: remoteId, status: z.catch(z.optional(z.string()), undefined) });

export const jobReply = z.object({
  id: z.catch(z.optional(z.string()), undefined),
  status: z.string(),
  /** ms */
  delayTime: count,
  /** ms */
  executionTime: count,
  workerId: z.catch(z.optional(z.string()), undefined),
  output: z.optional(z.unknown()),
  /** A string by the docs; an object has been seen in other workers. */
  error: z.optional(z.unknown()),
});
export type JobReply = z.infer<typeof jobReply>;

/** The docs show the bare array, RunPod's own tools read the object. */
export const streamReply = z.union([
  z.array(z.object({ output: z.optional(z.unknown()) })),
  z.object({ status: optionalText, stream: z.nullish(z.array(z.object({ output: z.optional(z.unknown()) }))) }),
]);

/** All keys are optional: the docs show two of the worker states, RunPod's tools read six. */
export const healthReply = z.object({
  jobs: z.optional(z.object({ completed: count, failed: count, inProgress: count, inQueue: count, retried: count })),
  workers: z.optional(
    z.object({ idle: count, initializing: count, ready: count, running: count, throttled: count, unhealthy: count }),
  ),
});
export type HealthReply = z.infer<typeof healthReply>;

export const purgeReply = z.object({ removed: z.number() });

/** Errors of the job API are no problem documents. */
export const jobErrorReply = z.object({ error: z.string() });

/** What a handler that raised leaves in `error`, as a JSON text (runpod-python). */
export const tracebackText = z.object({ error_type: optionalText, error_message: z.string() });

/** What worker-comfyui returns: the list since 5.0.0, one message before. */
export const workerOutput = z.object({
  images: z.optional(z.array(z.object({ filename: optionalText, type: optionalText, data: z.string() }))),
  errors: z.catch(z.optional(z.array(z.string())), undefined),
  details: z.catch(z.optional(z.array(z.string())), undefined),
  message: z.catch(z.optional(z.string()), undefined),
  status: z.catch(z.optional(z.string()), undefined),
  error: z.optional(z.unknown()),
});
