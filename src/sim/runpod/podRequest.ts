import { parseBody, type Shape } from './bodyShape.ts';
import { podActions, type PodAction } from './podMachine.ts';
import { invalid, Refusal } from './problem.ts';
import { templates } from './templates.ts';
import type { Cloud } from './catalog.ts';

export interface Mounts {
  readonly persistent?: { readonly size: number; readonly path: string };
  readonly network?: readonly { readonly volumeId: string; readonly path: string }[];
}

interface ContainerFields {
  readonly args?: string;
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly disk?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly image?: string;
  readonly ports?: readonly string[];
  readonly registry?: string | null;
  readonly mounts?: Mounts;
  readonly globalNetworking?: boolean;
  readonly templateId?: string;
}

export interface CreateBody extends ContainerFields {
  readonly name: string;
  readonly cloud?: Cloud;
  readonly dataCenterIds?: readonly string[];
  readonly gpu?: {
    readonly id: string;
    readonly count?: number;
    readonly allowedCudaVersions?: readonly string[];
    readonly minCudaVersion?: string;
  };
  readonly cpu?: { readonly id: string; readonly vcpuCount: number };
  readonly startSsh?: boolean;
  readonly startJupyter?: boolean;
}

export interface UpdateBody extends ContainerFields {
  readonly name?: string;
  readonly locked?: boolean;
}

/** A create request with every default filled in. */
export interface PodSpec {
  readonly name: string;
  readonly image: string;
  readonly args: string;
  readonly entrypoint: readonly string[] | undefined;
  readonly cmd: readonly string[] | undefined;
  readonly diskGb: number;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly registry: string | null;
  readonly mounts: Mounts;
  readonly globalNetworking: boolean;
  readonly cloud: Cloud;
  readonly dataCenterIds: readonly string[];
  readonly gpu: { readonly id: string; readonly count: number; readonly cudaVersions: CudaWish } | undefined;
  readonly cpu: { readonly id: string; readonly vcpuCount: number } | undefined;
}

export interface CudaWish {
  readonly allowed: readonly string[];
  readonly atLeast: string | undefined;
}

const text: Shape = { is: 'string' };
const named: Shape = { is: 'string', minLength: 1 };
const cuda: Shape = { is: 'string', pattern: /^\d+\.\d+$/ };
const strings: Shape = { is: 'array', of: text };

const mounts: Shape = {
  is: 'object',
  fields: {
    persistent: {
      is: 'object',
      required: ['size', 'path'],
      fields: { size: { is: 'integer', minimum: 10 }, path: text },
    },
    network: {
      is: 'array',
      maxItems: 1,
      of: { is: 'object', required: ['volumeId', 'path'], fields: { volumeId: text, path: text } },
    },
  },
};

const container: Record<string, Shape> = {
  args: text,
  entrypoint: strings,
  cmd: strings,
  disk: { is: 'integer', minimum: 1 },
  env: { is: 'map', of: text },
  image: text,
  ports: strings,
  registry: { is: 'string', orNull: true },
  mounts,
  globalNetworking: { is: 'boolean' },
};

const createFields: Record<string, Shape> = {
  ...container,
  name: named,
  cloud: { is: 'string', oneOf: ['SECURE', 'COMMUNITY'] },
  dataCenterIds: strings,
  templateId: named,
  startSsh: { is: 'boolean' },
  startJupyter: { is: 'boolean' },
  gpu: {
    is: 'object',
    required: ['id'],
    fields: {
      id: text,
      count: { is: 'integer', minimum: 1 },
      allowedCudaVersions: { is: 'array', of: cuda },
      minCudaVersion: cuda,
      minRamPerGpu: { is: 'number', minimum: 0 },
      minVcpuCountPerGpu: { is: 'number', minimum: 0 },
    },
  },
  cpu: { is: 'object', required: ['id', 'vcpuCount'], fields: { id: named, vcpuCount: { is: 'integer', minimum: 2 } } },
};

const createShape: Shape = { is: 'object', fields: createFields, required: ['name', 'image'] };
const createFromTemplate: Shape = { is: 'object', fields: createFields, required: ['name'] };
const updateShape: Shape = {
  is: 'object',
  fields: { ...container, name: named, locked: { is: 'boolean' }, templateId: text },
};
const actionShape: Shape = {
  is: 'object',
  required: ['action'],
  fields: { action: { is: 'string', oneOf: podActions } },
};

export const parseAction = (body: string): PodAction => (parseBody(actionShape, body) as { action: PodAction }).action;

export function parseUpdate(body: string): UpdateBody {
  const update = parseBody(updateShape, body) as UpdateBody;
  checkPorts(update.ports ?? []);
  return update;
}

/**
 * @throws Refusal by the rules of RunPod's create: 400 for rules between fields, 404 for an unknown template, 413 for
 * one that makes the request too large, 422 for a body that breaks the contract
 */
export function parseCreate(body: string, bodyLimitBytes: number): PodSpec {
  const hasTemplate = /"templateId"\s*:/.test(body);
  const wish = parseBody(hasTemplate ? createFromTemplate : createShape, body) as CreateBody;
  checkBetweenFields(wish);
  const template = wish.templateId === undefined ? undefined : templates.find(({ id }) => id === wish.templateId);
  if (wish.templateId !== undefined && !template) throw new Refusal(404, 'template not found');
  if (template?.serverless) throw invalid(['$/templateId: serverless template cannot be used for a pod']);
  if (template && Buffer.byteLength(body) + Buffer.byteLength(JSON.stringify(template)) > bodyLimitBytes) {
    throw new Refusal(413, 'request with the settings of its template is too large');
  }
  const image = wish.image ?? template?.image ?? '';
  if (image === '' || /\bmissing\b/.test(image)) throw invalid([`image '${image}' was not found on its registry`]);
  const ports = wish.ports ?? template?.ports ?? [];
  checkPorts(ports);
  const inherited: Mounts = template && !wish.cpu ? template.mounts : {};
  return {
    name: wish.name,
    image,
    args: wish.args ?? template?.args ?? '',
    entrypoint: wish.entrypoint,
    cmd: wish.cmd,
    diskGb: wish.disk ?? template?.disk ?? 20,
    env: { ...template?.env, ...wish.env },
    ports,
    registry: wish.registry ?? null,
    mounts: wish.mounts ?? inherited,
    globalNetworking: wish.globalNetworking ?? false,
    cloud: wish.cloud ?? 'SECURE',
    dataCenterIds: wish.dataCenterIds ?? [],
    gpu: wish.gpu && {
      id: wish.gpu.id,
      count: wish.gpu.count ?? 1,
      cudaVersions: { allowed: wish.gpu.allowedCudaVersions ?? [], atLeast: wish.gpu.minCudaVersion },
    },
    cpu: wish.cpu,
  };
}

function checkBetweenFields(wish: CreateBody): void {
  if (Boolean(wish.gpu) === Boolean(wish.cpu)) throw new Refusal(400, 'exactly one of gpu or cpu must be set');
  if (wish.mounts?.persistent && wish.mounts.network?.length) {
    throw new Refusal(400, 'mounts.persistent and mounts.network are mutually exclusive');
  }
  if (wish.cpu && wish.mounts?.persistent) throw new Refusal(400, 'mounts.persistent is not available on cpu pods');
  if (wish.gpu?.allowedCudaVersions?.length && wish.gpu.minCudaVersion !== undefined) {
    throw new Refusal(400, 'gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive');
  }
  // Where the code is not documented, 400 is ours: more than ten HTTP ports, a network volume in the community cloud.
  if (wish.mounts?.network?.length && wish.cloud === 'COMMUNITY') {
    throw new Refusal(400, 'network volumes need cloud SECURE');
  }
}

function checkPorts(ports: readonly string[]): void {
  const wrong = ports.filter((port) => !/^\d{1,5}\/(http|tcp)$/.test(port));
  if (wrong.length > 0) throw invalid(wrong.map((port) => `$/ports: '${port}' does not match '<port>/http|tcp'`));
  if (ports.filter((port) => port.endsWith('/http')).length > 10) {
    throw new Refusal(400, 'a pod can expose at most 10 HTTP ports');
  }
}
