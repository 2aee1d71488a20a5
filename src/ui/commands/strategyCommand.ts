import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { BackendManager } from '../../core/backends/backendManager.ts';
import { throwIfAborted, toFault } from '../../core/kernel/fault.ts';
import type { Log } from '../../core/kernel/ports.ts';
import type { Choice, ImaginedJob } from '../../core/queue/choice.ts';
import type { Outlook, StrategyChoice } from '../../core/queue/strategyOutlook.ts';
import { strategies } from '../../core/routing/strategy.ts';
import type { Settings } from '../../core/settings.ts';
import { dotted } from '../trees/row.ts';
import { writeSetting } from '../writeSetting.ts';
import { figures, outlookText, strategyMeaning, strategyName, worthText } from './strategyTexts.ts';

export interface StrategyServices {
  readonly backends: Pick<BackendManager, 'checkAll' | 'refresh'>;
  readonly choice: Pick<Choice, 'outlook'>;
  readonly settings: () => Settings;
  readonly log: Log;
}

interface StrategyItem extends vscode.QuickPickItem {
  readonly choice?: StrategyChoice;
  /** A backend's own line. */
  readonly backend?: true;
}

/** The slider of 'balanced': dollars that an hour of waiting is worth. */
const usdPerHourSteps = [100, 20, 5, 1, 0.25];

/** What decides between backends, with what each means for this job, or the next; then, for 'balanced', how much. */
export async function chooseStrategy(
  services: StrategyServices,
  job: ImaginedJob | undefined,
  signal: AbortSignal,
): Promise<void> {
  const now = current(services.settings());
  const each = strategies.map((strategy) => ({ ...now, strategy }));
  const title = vscode.l10n.t('PodRelay: Strategy');
  const question = vscode.l10n.t('What decides which backend gets a job?');
  const chosen = await pick(services, { title, question, choices: each, job }, firstItems, signal);
  if (chosen === undefined) return;
  if (chosen === 'backend') return void (await vscode.commands.executeCommand(commands.chooseBackend));
  if (chosen.strategy !== 'balanced') return store(chosen);
  const steps = stepsAround(now.secondsPerUsd).map((secondsPerUsd) => ({ ...chosen, secondsPerUsd }));
  const balance = vscode.l10n.t('How much is it worth to you to wait less?');
  const step = await pick(services, { title, question: balance, choices: steps, job }, stepItems, signal);
  if (step !== undefined && step !== 'backend') await store(step);
}

function current(settings: Settings): StrategyChoice {
  return { strategy: settings['routing.strategy'], secondsPerUsd: settings['routing.secondsPerUsd'] };
}

/** In a few steps from fast to cheap, the value that is set now among them. */
function stepsAround(secondsPerUsd: number): readonly number[] {
  const steps = usdPerHourSteps.map((usd) => Math.round(3_600 / usd));
  return [...new Set([...steps, secondsPerUsd])].sort((a, b) => a - b);
}

async function store({ strategy, secondsPerUsd }: StrategyChoice): Promise<void> {
  await writeSetting('routing.strategy', strategy);
  if (strategy === 'balanced') await writeSetting('routing.secondsPerUsd', secondsPerUsd);
}

interface Question {
  readonly title: string;
  readonly question: string;
  readonly choices: readonly StrategyChoice[];
  /** That the figures are about; undefined = the next one. */
  readonly job: ImaginedJob | undefined;
}

type Items = (choices: readonly StrategyChoice[], now: StrategyChoice, outlook?: Outlook) => readonly StrategyItem[];

/** The list is there at once; what it means for the next job is added when the backends were asked. */
async function pick(
  services: StrategyServices,
  { title, question, choices, job }: Question,
  items: Items,
  signal: AbortSignal,
): Promise<StrategyChoice | 'backend' | undefined> {
  const { backends, choice, settings, log } = services;
  const now = current(settings());
  const stop = new AbortController();
  const box = vscode.window.createQuickPick<StrategyItem>();
  const at = AbortSignal.any([signal, stop.signal]);
  try {
    Object.assign(box, { title, placeholder: question, busy: true, matchOnDetail: true, items: items(choices, now) });
    const answered = new Promise<StrategyItem | undefined>((resolve) => {
      box.onDidAccept(() => resolve(box.selectedItems[0]));
      box.onDidHide(() => resolve(undefined));
    });
    box.show();
    const look = async (): Promise<void> => {
      await backends.refresh(at);
      await backends.checkAll(at);
      const { about, ...outlook } = await choice.outlook(choices, job);
      if (at.aborted) return;
      const active = box.activeItems[0]?.label;
      box.items = items(choices, now, outlook);
      box.activeItems = box.items.filter(({ label }) => label === active);
      const like = about === undefined ? vscode.l10n.t('a usual picture') : `‘${about}’`;
      box.placeholder = vscode.l10n.t('{0} Figures are for a job like {1}.', question, like);
    };
    look()
      .catch((error: unknown) => at.aborted || log.warn(`Nothing can be foretold: ${toFault(error).message}`))
      .finally(() => (box.busy = false));
    const item = await answered;
    throwIfAborted(signal);
    return item?.backend === true ? 'backend' : item?.choice;
  } finally {
    stop.abort();
    box.dispose();
  }
}

function firstItems(choices: readonly StrategyChoice[], now: StrategyChoice, outlook?: Outlook): StrategyItem[] {
  const separator = { label: vscode.l10n.t('The next job on each backend'), kind: vscode.QuickPickItemKind.Separator };
  const backends = (outlook?.backends ?? []).map((one): StrategyItem => {
    return { label: `$(server) ${one.label}`, description: figures(one), backend: true };
  });
  return [
    ...choices.map((choice, index): StrategyItem => {
      const isNow = choice.strategy === now.strategy && vscode.l10n.t('now');
      const label = `$(${isNow === false ? 'circle-large-outline' : 'pass-filled'}) ${strategyName(choice.strategy)}`;
      const next = outlook === undefined ? '' : outlookText(outlook.strategies[index]?.backend);
      return { label, description: dotted(strategyMeaning(choice), isNow), detail: detailOf(next), choice };
    }),
    ...(backends.length === 0 ? [] : [separator, ...backends]),
  ];
}

function stepItems(choices: readonly StrategyChoice[], now: StrategyChoice, outlook?: Outlook): StrategyItem[] {
  return choices.map((choice, index): StrategyItem => {
    const ends = [index === 0 && vscode.l10n.t('fastest'), index === choices.length - 1 && vscode.l10n.t('cheapest')];
    const isNow = choice.secondsPerUsd === now.secondsPerUsd && vscode.l10n.t('now');
    const next = outlook === undefined ? '' : outlookText(outlook.strategies[index]?.backend);
    return {
      label: capital(worthText(choice.secondsPerUsd)),
      description: dotted(...ends, isNow),
      detail: detailOf(next),
      choice,
    };
  });
}

/** The line is kept free from the start, so that nothing moves under the pointer. */
function detailOf(next: string): string {
  return next === '' ? vscode.l10n.t('Asking the backends…') : vscode.l10n.t('Next job: {0}', next);
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
