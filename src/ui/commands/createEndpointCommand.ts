import * as vscode from 'vscode';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import { throwIfAborted } from '../../core/kernel/fault.ts';
import { idleSeconds } from '../../core/serverless/createEndpoint.ts';
import type { Endpoint, GpuPrice } from '../../core/serverless/endpoint.ts';
import { formatUsdPerSecond, priceBothWays } from '../trees/endpointText.ts';
import { withProgress } from '../withProgress.ts';
import type { EndpointControlServices } from './endpointControl.ts';
import { askWorkers } from './endpointWorkers.ts';
import { requireRunpodKey, requireTrust } from './podChoice.ts';

/** RunPod places a worker on whichever GPU of a pool has room. */
interface Pool {
  readonly id: string;
  readonly names: readonly string[];
  /** Of the cheapest and the dearest GPU in it. */
  readonly leastMicros: number;
  readonly mostMicros: number;
}

/** The one with its models inside that fits the smallest GPUs (worker-comfyui's tags). */
const defaultImage = 'runpod/worker-comfyui:5.8.5-sdxl';
const defaultWorkers = 2;

/** GPUs with their prices, the image, how many workers; then what it may cost is asked. */
export async function createEndpoint(services: EndpointControlServices, signal: AbortSignal): Promise<void> {
  requireTrust();
  await requireRunpodKey(services.keys);
  const { endpoints } = services;
  const pool = await pickPool(() => endpoints.gpuPrices(signal));
  if (pool === undefined) return;
  const image = await askImage();
  if (image === undefined) return;
  const maxWorkers = await askWorkers({
    title: vscode.l10n.t('Create Endpoint: at most how many workers?'),
    prompt: vscode.l10n.t('Workers come with the jobs and go with them. Each costs {0}.', poolPrice(pool)),
    value: defaultWorkers,
    least: 1,
  });
  if (maxWorkers === undefined || !(await mayCost(pool, maxWorkers))) return;
  throwIfAborted(signal);
  const title = vscode.l10n.t('PodRelay: creating an endpoint');
  const endpoint = await withProgress(title, signal, (report, at) => {
    report({ message: vscode.l10n.t('Asking RunPod') });
    return endpoints.create({ pools: [pool.id], image, maxWorkers }, at);
  });
  await offerUse(services, endpoint);
}

async function pickPool(prices: () => Promise<readonly GpuPrice[]>): Promise<Pool | undefined> {
  const asked = prices();
  const hide = new vscode.CancellationTokenSource();
  const failed = asked.catch((error: unknown) => {
    hide.cancel();
    throw error;
  });
  const items = asked.then((listed) =>
    poolsOf(listed).map((pool) => ({
      label: `$(circuit-board) ${pool.names.join(', ')}`,
      description: poolPrice(pool),
      detail: pool.id,
      pool,
    })),
  );
  try {
    const options = {
      title: vscode.l10n.t('Create Endpoint: which GPU?'),
      placeHolder: vscode.l10n.t('Prices are per worker, by the second, while it is up'),
      matchOnDetail: true,
      ignoreFocusOut: true,
    };
    const [chosen] = await Promise.all([vscode.window.showQuickPick(items, options, hide.token), failed]);
    return chosen?.pool;
  } finally {
    hide.dispose();
  }
}

/** Cheapest first. */
function poolsOf(prices: readonly GpuPrice[]): readonly Pool[] {
  const pools = [...Map.groupBy(prices, ({ pool }) => pool)].map(([id, gpus]): Pool => {
    const micros = gpus.map(({ usdPerHourMicros }) => usdPerHourMicros);
    return {
      id,
      names: gpus.map(({ name }) => name),
      leastMicros: Math.min(...micros),
      mostMicros: Math.max(...micros),
    };
  });
  return pools.sort((a, b) => a.mostMicros - b.mostMicros || a.id.localeCompare(b.id));
}

function poolPrice({ leastMicros, mostMicros }: Pool): string {
  if (leastMicros === mostMicros) return priceBothWays(mostMicros);
  return vscode.l10n.t('{0} to {1}', formatUsdPerSecond(leastMicros), priceBothWays(mostMicros));
}

async function askImage(): Promise<string | undefined> {
  const image = await vscode.window.showInputBox({
    title: vscode.l10n.t('Create Endpoint: which image?'),
    prompt: vscode.l10n.t('One of worker-comfyui, 5.8 or newer: its variants have different models inside.'),
    value: defaultImage,
    ignoreFocusOut: true,
    validateInput: (typed) =>
      /^[\w./:@-]+$/.test(typed.trim()) ? undefined : vscode.l10n.t('The name of a Docker image'),
  });
  return image?.trim();
}

async function mayCost(pool: Pool, maxWorkers: number): Promise<boolean> {
  const create = vscode.l10n.t('Create');
  const text = vscode.l10n.t('Create an endpoint with {0} for {1} per worker?', pool.names.join(', '), poolPrice(pool));
  const detail = vscode.l10n.t(
    'It costs nothing without jobs. Then each worker is billed by the second, with its start and {0} s of waiting for the next job; {1} workers together cost up to {2}.',
    idleSeconds,
    maxWorkers,
    formatUsdPerHour(pool.mostMicros * maxWorkers),
  );
  return (await vscode.window.showInformationMessage(text, { modal: true, detail }, create)) === create;
}

async function offerUse({ endpointIds, useEndpoints }: EndpointControlServices, endpoint: Endpoint): Promise<void> {
  const use = vscode.l10n.t('Use It for Jobs');
  const text = vscode.l10n.t(
    'PodRelay: the endpoint {0} is there. It costs nothing until it gets a job.',
    endpoint.name,
  );
  if ((await vscode.window.showInformationMessage(text, use)) !== use) return;
  await useEndpoints([...endpointIds().filter((id) => id !== endpoint.id), endpoint.id]);
}
