import { parseBody, violations, type Shape } from './bodyShape.ts';
import type { Catalog } from './catalog.ts';
import { invalid, Refusal } from './problem.ts';
import { templates } from './templates.ts';

export type Scaling =
  | { readonly type: 'QUEUE_DELAY'; readonly queueDelay: number }
  | { readonly type: 'REQUEST_COUNT'; readonly requestCount: number };

export interface EndpointGpu {
  readonly pools: readonly string[];
  readonly excludedTypes: readonly string[];
  readonly count: number;
  readonly allowedCudaVersions: readonly string[];
  readonly minCudaVersion: string | null;
}

/** A create request with every default filled in. */
export interface EndpointSpec {
  readonly name: string;
  readonly type: 'QUEUE' | 'LOAD_BALANCER';
  readonly image: string;
  readonly args: string;
  readonly disk: number;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly registry: string | null;
  readonly gpu: EndpointGpu;
  /** `idleTimeout` in seconds; absent for queues that scale on the request count */
  readonly workers: { readonly min: number; readonly max: number; readonly idleTimeout?: number };
  readonly scaling: Scaling;
  readonly dataCenterIds: readonly string[];
  readonly networkVolumes: readonly string[];
  /** ms per request */
  readonly timeout: number;
  readonly flashboot: 'OFF' | 'FLASHBOOT' | 'PRIORITY_FLASHBOOT';
}

type GpuWish = Partial<Omit<EndpointGpu, 'minCudaVersion'>> & { readonly minCudaVersion?: string };
type WorkersWish = Partial<EndpointSpec['workers']>;

interface EndpointWish extends Partial<Omit<EndpointSpec, 'gpu' | 'workers'>> {
  readonly gpu?: GpuWish;
  readonly workers?: WorkersWish;
  readonly cpu?: unknown;
  readonly templateId?: string;
}

const text: Shape = { is: 'string' };
const named: Shape = { is: 'string', minLength: 1 };
const strings: Shape = { is: 'array', of: text };
const cuda = (pattern: RegExp): Shape => ({ is: 'string', pattern });

const gpuFields = (floor: RegExp): Record<string, Shape> => ({
  pools: strings,
  excludedTypes: { is: 'array', of: { is: 'string', pattern: /^\s*[^-\s]/ } },
  count: { is: 'integer', minimum: 1 },
  allowedCudaVersions: { is: 'array', of: cuda(/^\d+\.\d+$/) },
  minCudaVersion: cuda(floor),
});

const queueDelay: Shape = {
  is: 'object',
  required: ['type', 'queueDelay'],
  fields: { type: { is: 'string', oneOf: ['QUEUE_DELAY'] }, queueDelay: { is: 'number', minimum: 0.5 } },
};
const requestCount: Shape = {
  is: 'object',
  required: ['type', 'requestCount'],
  fields: { type: { is: 'string', oneOf: ['REQUEST_COUNT'] }, requestCount: { is: 'integer', minimum: 1 } },
};

const cpuList: Shape = {
  is: 'array',
  of: { is: 'object', required: ['id', 'vcpuCount'], fields: { id: named, vcpuCount: { is: 'integer', minimum: 2 } } },
};

const commonFields: Record<string, Shape> = {
  name: named,
  image: text,
  args: text,
  disk: { is: 'integer', minimum: 1 },
  env: { is: 'map', of: text },
  ports: strings,
  registry: { is: 'string', orNull: true },
  cpu: cpuList,
  workers: {
    is: 'object',
    fields: {
      min: { is: 'integer', minimum: 0 },
      max: { is: 'integer', minimum: 0 },
      idleTimeout: { is: 'integer', minimum: 1, maximum: 3600 },
    },
  },
  // The union is checked apart: a shape has no alternatives.
  scaling: { is: 'object', fields: { type: text, queueDelay: { is: 'number' }, requestCount: { is: 'number' } } },
  dataCenterIds: strings,
  networkVolumes: strings,
  timeout: { is: 'integer' },
  flashboot: { is: 'string', oneOf: ['OFF', 'FLASHBOOT', 'PRIORITY_FLASHBOOT'] },
  templateId: named,
};

const createShape = (hasTemplate: boolean): Shape => ({
  is: 'object',
  required: ['name', 'type', 'scaling', ...(hasTemplate ? [] : ['image'])],
  fields: {
    ...commonFields,
    type: { is: 'string', oneOf: ['QUEUE', 'LOAD_BALANCER'] },
    gpu: { is: 'object', required: ['pools'], fields: gpuFields(/^\d+\.\d+$/) },
  },
});
const updateShape: Shape = {
  is: 'object',
  fields: { ...commonFields, gpu: { is: 'object', fields: gpuFields(/^$|^\d+\.\d+$/) } },
};

/**
 * @throws Refusal by the rules of RunPod's create: 400 for rules between fields, 404 for an unknown template, 422 for a
 * body that breaks the contract
 */
export function parseCreateEndpoint(body: string, catalog: Catalog): EndpointSpec {
  const wish = parseBody(createShape(/"templateId"\s*:/.test(body)), body) as EndpointWish;
  const { name = '', type = 'QUEUE', scaling } = wish;
  const faults = [
    ...unionFaults(scaling),
    ...(type === 'LOAD_BALANCER' && scaling?.type !== 'REQUEST_COUNT'
      ? ["$/scaling/type: value must be one of 'REQUEST_COUNT'"]
      : []),
    ...poolFaults(wish.gpu),
  ];
  if (faults.length > 0 || !scaling) throw invalid(faults);
  if ((wish.gpu === undefined) === (wish.cpu === undefined)) {
    throw new Refusal(400, 'exactly one of gpu or cpu must be set');
  }
  if (!wish.gpu) throw new Refusal(400, 'cpu endpoints are not part of this simulator');
  const template = templateOf(wish.templateId);
  const gpu: EndpointGpu = {
    pools: wish.gpu.pools ?? [],
    excludedTypes: wish.gpu.excludedTypes ?? [],
    count: wish.gpu.count ?? 1,
    allowedCudaVersions: wish.gpu.allowedCudaVersions ?? [],
    minCudaVersion: wish.gpu.minCudaVersion ?? null,
  };
  checkGpu(gpu, catalog);
  return withWorkers(
    {
      name,
      type,
      image: wish.image ?? template?.image ?? '',
      args: wish.args ?? template?.args ?? '',
      disk: wish.disk ?? template?.disk ?? 20,
      env: { ...template?.env, ...wish.env },
      ports: wish.ports ?? template?.ports ?? [],
      registry: wish.registry ?? null,
      gpu,
      scaling,
      dataCenterIds: wish.dataCenterIds ?? [],
      networkVolumes: wish.networkVolumes ?? [],
      timeout: wish.timeout ?? 300_000,
      flashboot: wish.flashboot ?? 'OFF',
    },
    { min: 0, max: 3, idleTimeout: 10 },
    wish.workers,
  );
}

/** The endpoint after a PATCH. @throws Refusal as {@link parseCreateEndpoint} */
export function applyUpdate(spec: EndpointSpec, body: string, catalog: Catalog): EndpointSpec {
  const { templateId, gpu: gpuWish, workers, cpu, ...wish } = parseBody(updateShape, body) as EndpointWish;
  const faults = [
    ...(wish.scaling === undefined ? [] : unionFaults(wish.scaling)),
    ...poolFaults(gpuWish),
    ...(gpuWish?.excludedTypes && !gpuWish.pools
      ? ["$/gpu: properties 'pools' required, if 'excludedTypes' exists"]
      : []),
  ];
  if (faults.length > 0) throw invalid(faults);
  if (cpu !== undefined) throw new Refusal(400, 'the compute family of an endpoint cannot be changed');
  if (spec.type === 'LOAD_BALANCER' && wish.scaling?.type === 'QUEUE_DELAY') {
    throw new Refusal(400, 'load-balancing endpoints scale on REQUEST_COUNT');
  }
  const template = templateOf(templateId);
  const gpu: EndpointGpu = {
    ...spec.gpu,
    ...gpuWish,
    // A new choice of pools replaces the exclusions too.
    excludedTypes: gpuWish?.pools ? (gpuWish.excludedTypes ?? []) : spec.gpu.excludedTypes,
    minCudaVersion: gpuWish?.minCudaVersion === undefined ? spec.gpu.minCudaVersion : gpuWish.minCudaVersion || null,
  };
  checkGpu(gpu, catalog);
  const container = template && {
    image: template.image,
    args: template.args,
    disk: template.disk,
    ports: template.ports,
    env: { ...template.env, ...wish.env },
  };
  return withWorkers({ ...spec, ...container, ...wish, gpu }, spec.workers, workers);
}

/** @throws Refusal 422 for an idle timeout where there is none, 400 for more minimum than maximum */
function withWorkers(
  spec: Omit<EndpointSpec, 'workers'>,
  before: EndpointSpec['workers'],
  wish: WorkersWish | undefined,
): EndpointSpec {
  const { min, max, idleTimeout } = { ...before, ...wish };
  const hasIdle = !(spec.type === 'QUEUE' && spec.scaling.type === 'REQUEST_COUNT');
  if (!hasIdle && wish?.idleTimeout !== undefined) {
    throw invalid(['$/workers/idleTimeout: not applicable to queue-based endpoints that scale on the request count']);
  }
  if (min > max) throw new Refusal(400, 'workers.min must not be greater than workers.max');
  return { ...spec, workers: { min, max, ...(hasIdle ? { idleTimeout: idleTimeout ?? 10 } : {}) } };
}

function unionFaults(scaling: Scaling | undefined): string[] {
  switch (scaling?.type) {
    case 'QUEUE_DELAY':
      return violations(queueDelay, scaling, '$/scaling');
    case 'REQUEST_COUNT':
      return violations(requestCount, scaling, '$/scaling');
    default:
      return ["$/scaling/type: value must be one of 'QUEUE_DELAY', 'REQUEST_COUNT'"];
  }
}

function poolFaults(gpu: GpuWish | undefined): string[] {
  const repeated = new Set(gpu?.excludedTypes).size !== (gpu?.excludedTypes?.length ?? 0);
  return [
    ...(gpu?.pools?.length === 0 ? ['$/gpu/pools: minItems: got 0, want 1'] : []),
    ...(repeated ? ['$/gpu/excludedTypes: items are not unique'] : []),
  ];
}

function checkGpu(gpu: EndpointGpu, catalog: Catalog): void {
  const unknown = gpu.pools.find((pool) => !catalog.gpus.some((entry) => entry.pool === pool));
  if (unknown !== undefined) throw new Refusal(400, `unknown GPU pool: ${unknown}`);
  const outside = gpu.excludedTypes.find((id) => !gpu.pools.includes(catalog.gpu(id)?.pool ?? ''));
  if (outside !== undefined) throw new Refusal(400, `gpu.excludedTypes: '${outside}' is in none of the pools`);
  if (gpu.allowedCudaVersions.length > 0 && gpu.minCudaVersion !== null) {
    throw new Refusal(400, 'gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive');
  }
}

function templateOf(id: string | undefined): (typeof templates)[number] | undefined {
  if (id === undefined) return undefined;
  const template = templates.find((one) => one.id === id);
  if (!template) throw new Refusal(404, 'template not found');
  if (!template.serverless) throw invalid(['$/templateId: pod template cannot be used for a serverless endpoint']);
  return template;
}
