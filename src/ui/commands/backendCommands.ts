import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { tiers } from '../../core/backends/backend.ts';
import type { Tier } from '../../core/backends/backend.ts';
import type { BackendManager, BackendStatus } from '../../core/backends/backendManager.ts';
import { Fault } from '../../core/kernel/fault.ts';
import { late } from '../../core/kernel/late.ts';
import type { Settings } from '../../core/settings.ts';
import { readWorkflow } from '../jobs/readWorkflow.ts';
import { ownName, stateName, stateOf } from '../trees/backendRows.ts';
import { dotted } from '../trees/row.ts';
import { writeSetting } from '../writeSetting.ts';
import type { Command } from './runCommand.ts';
import type { StrategyServices } from './strategyCommand.ts';

const strategy = late(() => import('./strategyCommand.ts'));

export interface BackendCommandServices extends StrategyServices {
  readonly backends: BackendManager;
  readonly settings: () => Settings;
  /** Empty = none. */
  readonly localComfyUrl: () => string;
}

export function backendCommands(services: BackendCommandServices): readonly Command[] {
  const { backends } = services;
  const pick = (arg: unknown, title: string): Promise<Choice> => pickBackend(backends, arg, title);
  const pickName = async (arg: unknown, title: string): Promise<string> => (await pick(arg, title)).name;
  const pickTier = async (arg: unknown, title: string): Promise<Tier> => (await pick(arg, title)).tier;
  return [
    {
      id: commands.checkBackends,
      failure: vscode.l10n.t('The backends could not be checked'),
      run: async ([arg], signal) => {
        const choice = choiceOf(backends, arg);
        if (choice?.id !== undefined) return backends.check(choice.id, signal);
        return backends.checkAll(signal, choice?.tier);
      },
    },
    {
      id: commands.chooseBackend,
      failure: vscode.l10n.t('The backend could not be chosen'),
      run: () => chooseBackend(services),
    },
    {
      id: commands.chooseStrategy,
      failure: vscode.l10n.t('The strategy could not be chosen'),
      run: async ([file], signal) =>
        strategy.chooseStrategy(services, file instanceof vscode.Uri ? await readWorkflow(file) : undefined, signal),
    },
    {
      id: commands.useAllBackends,
      failure: vscode.l10n.t('The setting could not be changed'),
      run: async () => {
        await writeSetting('routing.forced', undefined);
        await writeSetting('routing.preferred', undefined);
      },
    },
    {
      id: commands.useOnlyBackend,
      failure: vscode.l10n.t('The setting could not be changed'),
      run: async ([arg]) => writeSetting('routing.forced', await pickName(arg, vscode.l10n.t('Use only this backend'))),
    },
    {
      id: commands.preferBackend,
      failure: vscode.l10n.t('The setting could not be changed'),
      run: async ([arg]) =>
        writeSetting('routing.preferred', await pickName(arg, vscode.l10n.t('Try this backend first'))),
    },
    {
      id: commands.switchOnBackend,
      failure: vscode.l10n.t('The backend could not be switched on'),
      run: async ([arg]) => writeSetting(`${await pickTier(arg, vscode.l10n.t('Switch on'))}.enabled`, true),
    },
    {
      id: commands.switchOffBackend,
      failure: vscode.l10n.t('The backend could not be switched off'),
      run: async ([arg]) => writeSetting(`${await pickTier(arg, vscode.l10n.t('Switch off'))}.enabled`, false),
    },
    {
      id: commands.openComfy,
      failure: vscode.l10n.t('ComfyUI could not be opened'),
      run: () => openInBrowser(services.localComfyUrl()),
    },
  ];
}

/** Addresses come from settings that a workspace cannot change, and only web addresses are opened. */
export async function openInBrowser(url: string): Promise<void> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new Fault('rejected', `'${url}' is no web address`, {
      nextStep: vscode.l10n.t('Correct it in the settings.'),
    });
  }
  await vscode.env.openExternal(vscode.Uri.parse(url, true));
}

/** A tier, or one backend of it. */
interface Choice {
  readonly tier: Tier;
  /** What the settings call it. */
  readonly name: string;
  /** Undefined = the whole tier. */
  readonly id: string | undefined;
}

/** What a row stands for; a tier or the id of a backend does too. */
function choiceOf(backends: BackendManager, arg: unknown): Choice | undefined {
  const given = typeof arg === 'object' && arg !== null && 'id' in arg ? arg.id : arg;
  if (typeof given !== 'string') return undefined;
  const tier = tiers.find((one) => given === `tier:${one}`);
  if (tier !== undefined) return { tier, name: tier, id: undefined };
  const id = given.replace(/^backend:/, '');
  const choices = allChoices(backends);
  return choices.find((choice) => choice.id === id) ?? choices.find(({ name }) => name === id);
}

/** In the order of the chain. */
function allChoices(backends: BackendManager): readonly (Choice & { readonly status: BackendStatus })[] {
  const statuses = backends.statuses();
  return statuses.map((status) => {
    const { backend } = status;
    const isMember = statuses.filter((one) => one.backend.tier === backend.tier).length > 1;
    return { status, tier: backend.tier, name: ownName(backend, isMember), id: backend.id };
  });
}

async function pickBackend(backends: BackendManager, arg: unknown, title: string): Promise<Choice> {
  const given = choiceOf(backends, arg);
  if (given !== undefined) return given;
  const items = allChoices(backends).map((choice) => ({ ...statusItem(choice.status), choice }));
  const chosen = await vscode.window.showQuickPick(items, { title });
  if (chosen === undefined) throw new Fault('cancelled', 'Nothing was chosen');
  return chosen.choice;
}

function statusItem(status: BackendStatus): vscode.QuickPickItem {
  const why = status.ready.ok ? (status.health.known ? status.health.value.why : '') : status.ready.why;
  return { label: status.backend.label, description: stateName(stateOf(status)), detail: dotted(why) };
}

async function chooseBackend({ backends, settings }: BackendCommandServices): Promise<void> {
  const choices = allChoices(backends);
  const order = choices.map(({ status }) => status.backend.label).join(' → ');
  const forced = settings()['routing.forced'];
  const cloud = choices.filter(({ tier }) => tier === 'cloud');
  const items = [
    {
      label: vscode.l10n.t('$(list-ordered) Automatic'),
      description: forced === 'none' ? vscode.l10n.t('now') : '',
      detail: vscode.l10n.t('The first that can: {0}', order),
      name: undefined,
    },
    ...(cloud.length > 1
      ? [
          {
            label: vscode.l10n.t('Only RunPod'),
            description: forced === 'cloud' ? vscode.l10n.t('now') : '',
            detail: vscode.l10n.t('Any of: {0}', cloud.map(({ status }) => status.backend.label).join(', ')),
            name: 'cloud',
          },
        ]
      : []),
    ...choices.map(({ status, name }) => {
      const item = statusItem(status);
      const isNow = forced === name && vscode.l10n.t('now');
      const description = dotted(isNow, item.description);
      return { ...item, label: vscode.l10n.t('Only {0}', item.label), description, name };
    }),
  ];
  const title = vscode.l10n.t('Which backend shall run the next jobs?');
  const chosen = await vscode.window.showQuickPick(items, { title });
  if (chosen !== undefined) await writeSetting('routing.forced', chosen.name);
}
