import * as vscode from 'vscode';
import { formatUsd, formatUsdPerHour } from '../../core/cost/price.ts';
import { throwIfAborted } from '../../core/kernel/fault.ts';
import { workerMicrosPerHour } from '../../core/serverless/workerCost.ts';
import { priceBothWays } from '../trees/endpointText.ts';
import { chooseEndpoint } from './endpointChoice.ts';
import { inBackground, say } from './endpointControl.ts';
import type { EndpointControlServices } from './endpointControl.ts';
import { requireTrust } from './podChoice.ts';

export async function setMaxWorkers(
  services: EndpointControlServices,
  arg: unknown,
  signal: AbortSignal,
): Promise<void> {
  requireTrust();
  const { endpoints } = services;
  const title = vscode.l10n.t('Set the workers of which endpoint?');
  const { endpoint } = await chooseEndpoint(services, arg, { title, fits: () => true }, signal);
  const { prices } = endpoints;
  const each = workerMicrosPerHour(endpoint, prices.known ? prices.value : undefined);
  const max = await askWorkers({
    title: vscode.l10n.t('{0}: at most how many workers?', endpoint.name),
    prompt: vscode.l10n.t('0 stops it: jobs then wait. A worker costs {0} while it is up.', priceOf(each)),
    value: endpoint.maxWorkers,
    least: 0,
  });
  if (max === undefined || max === endpoint.maxWorkers) return;
  throwIfAborted(signal);
  await inBackground(vscode.l10n.t('Changing {0}', endpoint.name), () =>
    endpoints.setMaxWorkers(endpoint.id, max, signal),
  );
  say(
    max === 0
      ? vscode.l10n.t('{0} is stopped: it runs no more jobs', endpoint.name)
      : vscode.l10n.t('{0} has at most {1} workers', endpoint.name, max),
  );
}

/** Workers that stay up without jobs: asked with what that costs, since nothing ends it but a person. */
export async function setMinWorkers(
  services: EndpointControlServices,
  arg: unknown,
  signal: AbortSignal,
): Promise<void> {
  requireTrust();
  const { endpoints } = services;
  const title = vscode.l10n.t('Set the minimum of workers of which endpoint?');
  const { endpoint } = await chooseEndpoint(services, arg, { title, fits: () => true }, signal);
  const prices = await endpoints.gpuPrices(signal).catch(() => undefined);
  const each = workerMicrosPerHour(endpoint, prices);
  const { id, name, minWorkers, maxWorkers } = endpoint;
  const min = await askWorkers({
    title: vscode.l10n.t('{0}: how many workers stay up without jobs?', name),
    prompt: vscode.l10n.t('0 costs nothing without jobs. Each costs {0}, day and night.', priceOf(each)),
    value: minWorkers,
    least: 0,
    most: maxWorkers,
  });
  if (min === undefined || min === minWorkers) return;
  if (min > 0 && !(await mayCostAlways(name, min, each))) return;
  throwIfAborted(signal);
  await inBackground(vscode.l10n.t('Changing {0}', name), async () => {
    await endpoints.setMinWorkers(id, min, signal);
    // They start or end now, and with them what they cost.
    await endpoints.look(id, signal).catch(() => undefined);
  });
  const kept =
    min === 1 ? vscode.l10n.t('{0} keeps a worker up', name) : vscode.l10n.t('{0} keeps {1} workers up', name, min);
  say(min === 0 ? vscode.l10n.t('{0} costs nothing without jobs', name) : kept);
}

const hoursPerMonth = 730;

async function mayCostAlways(name: string, min: number, each: number | undefined): Promise<boolean> {
  const keep = min === 1 ? vscode.l10n.t('Keep It Up') : vscode.l10n.t('Keep Them Up');
  const text =
    min === 1
      ? vscode.l10n.t('Keep a worker of {0} up all the time?', name)
      : vscode.l10n.t('Keep {0} workers of {1} up all the time?', min, name);
  const detail =
    each === undefined
      ? vscode.l10n.t('What they cost is not known. They cost it even without jobs, until you set 0 again.')
      : vscode.l10n.t(
          'It costs up to {0} even without jobs: {1} a month, until you set 0 again. PodRelay does not end it.',
          formatUsdPerHour(each * min),
          formatUsd(each * min * hoursPerMonth),
        );
  return (await vscode.window.showWarningMessage(text, { modal: true, detail }, keep)) === keep;
}

/** 'a price that is not known' instead of none. */
export function priceOf(usdPerHourMicros: number | undefined): string {
  return usdPerHourMicros === undefined ? vscode.l10n.t('an unknown price') : priceBothWays(usdPerHourMicros);
}

/** More than any account may have: RunPod says so when it is too many. */
const mostWorkers = 1_000;

export async function askWorkers(question: {
  readonly title: string;
  readonly prompt: string;
  readonly value: number;
  readonly least: number;
  readonly most?: number;
}): Promise<number | undefined> {
  const { title, prompt, value, least, most = mostWorkers } = question;
  const isFine = (text: string): boolean =>
    /^\d{1,4}$/.test(text.trim()) && Number(text) >= least && Number(text) <= most;
  const text = await vscode.window.showInputBox({
    title,
    prompt,
    value: String(value),
    ignoreFocusOut: true,
    validateInput: (typed) =>
      isFine(typed)
        ? undefined
        : question.most === undefined
          ? vscode.l10n.t('A whole number from {0}', least)
          : vscode.l10n.t('A whole number from {0} to {1}', least, most),
  });
  return text === undefined ? undefined : Number(text);
}
