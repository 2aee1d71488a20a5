import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import { rankGpus } from '../../core/fleet/rankGpus.ts';
import type { GpuCandidate, GpuRanking } from '../../core/fleet/rankGpus.ts';
import { throwIfAborted } from '../../core/kernel/fault.ts';
import type { GpuType, Stock } from '../../core/runpod/gpuType.ts';
import type { RunpodClient } from '../../core/runpod/runpodClient.ts';
import type { Settings } from '../../core/settings.ts';

export interface PickGpuServices {
  readonly gpuTypes: RunpodClient['listGpuTypes'];
}

interface GpuItem extends vscode.QuickPickItem {
  /** In the order to try them. */
  readonly candidates?: readonly GpuCandidate[];
  /** Opens the settings instead. */
  readonly limits?: true;
}

const stockTexts: Readonly<Record<Stock, string>> = {
  HIGH: 'plenty in stock',
  MEDIUM: 'in stock',
  LOW: 'few left',
  NONE: 'out of stock',
};

/** The GPU types to try, in order; undefined when the person chose none. The box is open while RunPod is asked. */
export async function pickGpu(
  { gpuTypes }: PickGpuServices,
  settings: Settings,
  signal: AbortSignal,
): Promise<readonly GpuCandidate[] | undefined> {
  const cloud = settings['cloud.tier'] === 'secure' ? 'SECURE' : 'COMMUNITY';
  const stop = new AbortController();
  const box = vscode.window.createQuickPick<GpuItem>();
  box.title = vscode.l10n.t('Deploy Pod: which GPU?');
  box.placeholder = vscode.l10n.t('Asking RunPod for GPUs and prices in its {0} cloud…', settings['cloud.tier']);
  box.busy = true;
  box.matchOnDescription = true;
  box.matchOnDetail = true;
  box.ignoreFocusOut = true;
  try {
    const chosen = new Promise<GpuItem | undefined>((resolve) => {
      box.onDidAccept(() => box.selectedItems[0] !== undefined && resolve(box.selectedItems[0]));
      box.onDidHide(() => {
        stop.abort();
        resolve(undefined);
      });
    });
    box.show();
    const gpus = await gpuTypes({ cloud, count: 1 }, AbortSignal.any([signal, stop.signal]));
    const ranking = rankGpus([{ cloud, gpus }], {
      minVramGb: settings['cloud.minVramGb'],
      count: 1,
      maxUsdPerHourMicros: Math.round(settings['cloud.maxUsdPerHour'] * 1_000_000),
    });
    box.busy = false;
    box.placeholder = limitsText(settings);
    box.items = gpuItems(ranking, gpus);
    const item = await chosen;
    throwIfAborted(signal);
    if (item?.limits === true) await vscode.commands.executeCommand(commands.openSettings, 'cloud');
    return item?.candidates;
  } finally {
    box.dispose();
  }
}

function limitsText(settings: Settings): string {
  const most = formatUsdPerHour(Math.round(settings['cloud.maxUsdPerHour'] * 1_000_000));
  return vscode.l10n.t(
    'Up to {0} and from {1} GB of memory, in the {2} cloud',
    most,
    settings['cloud.minVramGb'],
    settings['cloud.tier'],
  );
}

function gpuItems({ candidates, refused }: GpuRanking, gpus: readonly GpuType[]): GpuItem[] {
  const [first] = candidates;
  const names = new Map(gpus.map((gpu) => [gpu.id, gpu]));
  const others = refused
    .map(({ gpuId, why }) => ({ gpu: names.get(gpuId), why }))
    .filter(({ gpu, why }) => gpu !== undefined && !/^(not|the) /.test(why));
  const limits = { label: vscode.l10n.t('$(gear) Change the limits…'), limits: true } as const;
  return [
    ...(first === undefined
      ? [{ label: vscode.l10n.t('$(warning) No GPU fits your limits and is in stock'), ...limitsOnly }]
      : []),
    ...(first === undefined || candidates.length === 1
      ? []
      : [
          {
            label: vscode.l10n.t('$(zap) The cheapest that is free'),
            description: vscode.l10n.t('from {0}', formatUsdPerHour(first.usdPerHourMicros)),
            detail: vscode.l10n.t('{0} first; when it is taken, the next one of this list', first.name),
            candidates,
          },
        ]),
    ...candidates.map(candidateItem),
    ...(others.length === 0 ? [] : [{ label: vscode.l10n.t('Not now'), kind: vscode.QuickPickItemKind.Separator }]),
    ...others.map(({ gpu, why }) => ({
      label: `$(circle-slash) ${gpu?.name ?? ''}`,
      description: `${gpu?.memoryGb ?? '–'} GB · ${why}`,
      ...limitsOnly,
    })),
    limits,
  ];
}

/** Choosing what cannot be had leads to the settings that say so. */
const limitsOnly = { limits: true } as const;

function candidateItem(candidate: GpuCandidate): GpuItem {
  const { name, memoryGb, usdPerHourMicros, stock } = candidate;
  const inStock = stock === undefined ? vscode.l10n.t('stock not known') : stockTexts[stock];
  return {
    label: `$(circuit-board) ${name}`,
    description: `${memoryGb} GB · ${formatUsdPerHour(usdPerHourMicros)} · ${inStock}`,
    candidates: [candidate],
  };
}
