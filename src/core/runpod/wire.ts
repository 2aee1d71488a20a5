// The shapes of RunPod's API v2 as it answers, read tolerantly: only what we act on is required (API v2, Pod object).
import * as z from 'zod/mini';

const optionalText = z.nullish(z.string());
const optionalNumber = z.nullish(z.number());

/** It becomes part of addresses, so nothing but letters, digits, '-' and '_' is taken. */
const podId = z.string().check(z.regex(/^[A-Za-z0-9_-]{1,64}$/));

/** `null`, `{}` and partial objects are all seen in the first seconds of a container; odd ones must not hide the pod. */
const podRuntime = z.object({
  uptime: optionalNumber,
  gpus: z.nullish(z.array(z.object({ util: optionalNumber, memoryUtil: optionalNumber }))),
  cpu: z.nullish(z.object({ util: optionalNumber })),
  memory: z.nullish(z.object({ util: optionalNumber })),
});

export const podReply = z.object({
  id: podId,
  name: z.string(),
  /** Any string: a status we do not know is shown as it is. */
  status: z.string(),
  /** USD per hour now; 0 when stopped, while its disk still bills. */
  cost: z.number().check(z.nonnegative()),
  actions: z.nullish(z.array(z.string())),
  image: optionalText,
  disk: optionalNumber,
  mounts: z.nullish(
    z.object({
      persistent: z.nullish(z.object({ size: z.number() })),
      network: z.nullish(z.array(z.object({ volumeId: z.string() }))),
    }),
  ),
  ports: z.nullish(z.array(z.string())),
  env: z.catch(z.nullish(z.record(z.string(), z.string())), undefined),
  gpu: z.nullish(z.object({ id: z.string(), count: z.number() })),
  cloud: optionalText,
  dataCenterId: optionalText,
  locked: z.nullish(z.boolean()),
  runtime: z.catch(z.nullish(podRuntime), undefined),
  createdAt: optionalText,
  startedAt: optionalText,
});
export type PodReply = z.infer<typeof podReply>;

/** Older servers send no `pagination`: one page is then all there is. */
export const podListReply = z.object({
  pods: z.array(podReply),
  pagination: z.nullish(z.object({ nextCursor: optionalText, hasNextPage: z.nullish(z.boolean()) })),
});

/** `terminate` is answered by 204 without a body. */
export const podActionReply = z.optional(podReply);

export const problemReply = z.object({
  title: z.string(),
  detail: z.string(),
  errors: z.catch(z.optional(z.array(z.string())), undefined),
});

export const logLineReply = z.object({ ts: optionalText, source: optionalText, line: z.string() });

export const gpuListReply = z.object({
  gpus: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      manufacturer: optionalText,
      /** GB of VRAM */
      memory: z.number(),
      secure: z.boolean(),
      community: z.boolean(),
      /** USD per hour of one GPU */
      price: z.object({ secure: optionalNumber, community: optionalNumber }),
      maxCount: z.nullish(z.object({ secure: optionalNumber, community: optionalNumber })),
      availability: optionalText,
      dataCenters: z.nullish(z.array(z.object({ id: z.string(), availability: optionalText }))),
    }),
  ),
});

const bucket = { startTime: z.string(), endTime: z.string(), totalAmount: z.number() };

export const billingReply = z.object({
  records: z.array(
    z.object({
      ...bucket,
      podGpuAmount: optionalNumber,
      podCpuAmount: optionalNumber,
      podDiskAmount: optionalNumber,
      storageStandardAmount: optionalNumber,
      storageHighPerformanceAmount: optionalNumber,
    }),
  ),
});

export const podBillingReply = z.object({
  records: z.array(
    z.object({
      ...bucket,
      podId: z.string(),
      gpuAmount: optionalNumber,
      cpuAmount: optionalNumber,
      diskAmount: optionalNumber,
    }),
  ),
});
