import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { basisText, jobsPerPrice, priceText } from '../../core/cost/gpuAdvice.ts';
import type { GpuAdvice } from '../../core/cost/gpuAdvice.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import { rankGpus } from '../../core/fleet/rankGpus.ts';
import type { GpuCandidate, GpuRanking } from '../../core/fleet/rankGpus.ts';
import { throwIfAborted, toFault } from '../../core/kernel/fault.ts';
import type { Log } from '../../core/kernel/ports.ts';
import type { Choice } from '../../core/queue/choice.ts';
import { durationText } from '../../core/queue/dispatch.ts';
import type { Cloud, GpuType, Stock } from '../../core/runpod/gpuType.ts';
import type { RunpodClient } from '../../core/runpod/runpodClient.ts';
import type { Settings } from '../../core/settings.ts';
import { dotted } from '../trees/row.ts';

export interface PickGpuServices {
  readonly gpuTypes: RunpodClient['listGpuTypes'];
  readonly choice: Pick<Choice, 'adviseGpus'>;
  readonly log: Log;
}

/** What a job takes and costs on each GPU; undefined = the records cannot be read. */
type Advice = Awaited<ReturnType<Choice['adviseGpus']>> | undefined;

interface GpuItem extends vscode.QuickPickItem {
  /** In the order to try them. */
  readonly candidates?: readonly GpuCandidate[];
  /** Leads to the settings: it cannot be had as they are. */
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
  { gpuTypes, choice, log }: PickGpuServices,
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
    const advice: Advice = await choice.adviseGpus(ranking.candidates).catch((error: unknown) => {
      log.warn(`No GPU can be advised: ${toFault(error).message}`);
      return undefined;
    });
    box.busy = false;
    box.placeholder = dotted(aboutText(advice), limitsText(settings));
    box.items = gpuItems(ranking, gpus, advice);
    const item = await chosen;
    throwIfAborted(signal);
    if (item?.limits === true) await vscode.commands.executeCommand(commands.openSettings, 'cloud');
    return item?.candidates;
  } finally {
    box.dispose();
  }
}

/** The prices of a job are those while the pod works: boot and idle time come on top. */
function aboutText(advice: Advice): string {
  if (advice === undefined) return '';
  const job = advice.about === undefined ? vscode.l10n.t('a usual picture') : `‘${advice.about}’`;
  return vscode.l10n.t('Jobs like {0}, boot and idle time aside', job);
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

function gpuItems({ candidates, refused }: GpuRanking, gpus: readonly GpuType[], advice: Advice): GpuItem[] {
  const byId = new Map(gpus.map((gpu) => [gpu.id, gpu]));
  const others = refused.flatMap(({ gpuId, cloud, why }): GpuItem[] => {
    const gpu = byId.get(gpuId);
    if (gpu === undefined || !isOffered(gpu, cloud)) return [];
    return [{ label: `$(circle-slash) ${gpu.name}`, description: `${gpu.memoryGb} GB · ${why}`, limits: true }];
  });
  const notNow = { label: vscode.l10n.t('Not now'), kind: vscode.QuickPickItemKind.Separator };
  const jobs = jobsPerPrice(advice?.gpus ?? []);
  const advised = advice?.gpus.map((one) => candidateItem(one.candidate, one, jobs));
  const each = { label: vscode.l10n.t('Best first'), kind: vscode.QuickPickItemKind.Separator };
  return [
    ...firstItems(candidates, advice),
    ...(advised === undefined ? [] : [each]),
    ...(advised ?? candidates.map((candidate) => candidateItem(candidate, undefined, 1))),
    ...(others.length === 0 ? [] : [notNow]),
    ...others,
    { label: vscode.l10n.t('$(gear) Change the limits…'), limits: true },
  ];
}

/** What no setting can change is not worth a line. */
function isOffered(gpu: GpuType, cloud: Cloud): boolean {
  const tier = cloud === 'SECURE' ? gpu.secure : gpu.community;
  return gpu.memoryGb > 0 && gpu.manufacturer !== 'AMD' && tier.offered && (tier.usdPerHourMicros ?? 0) > 0;
}

function firstItems(candidates: readonly GpuCandidate[], advice: Advice): GpuItem[] {
  const [first, second] = candidates;
  if (first === undefined) {
    return [{ label: vscode.l10n.t('$(warning) No GPU within your limits is in stock'), limits: true }];
  }
  if (second === undefined) return [];
  const inTurn = vscode.l10n.t('when it is taken, the next one');
  const jobs = jobsPerPrice(advice?.gpus ?? []);
  const best = advice?.gpus[0];
  const ofCheapest = advice?.gpus.find(({ candidate }) => candidate === first);
  const cheapest: GpuItem = {
    label: vscode.l10n.t('$(zap) The cheapest hour that is free'),
    description: vscode.l10n.t('from {0}', formatUsdPerHour(first.usdPerHourMicros)),
    detail: dotted(first.name, ofCheapest && priceText(ofCheapest, jobs), inTurn),
    candidates,
  };
  if (advice === undefined || best === undefined) return [cheapest];
  return [
    {
      label: vscode.l10n.t('$(star-full) The best price of a job that is free'),
      description: vscode.l10n.t('from {0}', priceText(best, jobs)),
      detail: dotted(best.candidate.name, advice.because, inTurn),
      candidates: advice.gpus.map(({ candidate }) => candidate),
    },
    ...(best.candidate === first ? [] : [cheapest]),
  ];
}

function candidateItem(candidate: GpuCandidate, advice: GpuAdvice | undefined, jobs: number): GpuItem {
  const { name, memoryGb, usdPerHourMicros, stock } = candidate;
  const inStock = stock === undefined ? vscode.l10n.t('stock not known') : stockTexts[stock];
  const time = advice === undefined ? '' : durationText(advice.seconds);
  const detail =
    advice === undefined ? {} : { detail: `${priceText(advice, jobs)} · ${time} each · ${basisText(advice)}` };
  return {
    label: `$(circuit-board) ${name}`,
    description: `${memoryGb} GB · ${formatUsdPerHour(usdPerHourMicros)} · ${inStock}`,
    ...detail,
    candidates: [candidate],
  };
}
