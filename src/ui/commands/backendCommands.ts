import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { tiers } from '../../core/backends/backend.ts';
import type { Tier } from '../../core/backends/backend.ts';
import type { BackendManager, BackendStatus } from '../../core/backends/backendManager.ts';
import { Fault } from '../../core/kernel/fault.ts';
import type { Settings } from '../../core/settings.ts';
import { stateName, stateOf } from '../trees/backendRows.ts';
import { dotted } from '../trees/row.ts';
import { writeSetting } from '../writeSetting.ts';
import type { Command } from './runCommand.ts';

export interface BackendCommandServices {
  readonly backends: BackendManager;
  readonly settings: () => Settings;
  /** Empty = none. */
  readonly localComfyUrl: () => string;
}

export function backendCommands(services: BackendCommandServices): readonly Command[] {
  const { backends } = services;
  const pick = (arg: unknown, title: string): Promise<Tier> => pickBackend(backends, arg, title);
  return [
    {
      id: commands.checkBackends,
      failure: vscode.l10n.t('The backends could not be checked'),
      run: async ([arg], signal) => {
        const tier = tierOf(arg);
        return tier === undefined ? backends.checkAll(signal) : backends.check(tier, signal);
      },
    },
    {
      id: commands.chooseBackend,
      failure: vscode.l10n.t('The backend could not be chosen'),
      run: () => chooseBackend(services),
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
      run: async ([arg]) => writeSetting('routing.forced', await pick(arg, vscode.l10n.t('Use only this backend'))),
    },
    {
      id: commands.preferBackend,
      failure: vscode.l10n.t('The setting could not be changed'),
      run: async ([arg]) => writeSetting('routing.preferred', await pick(arg, vscode.l10n.t('Try this backend first'))),
    },
    {
      id: commands.switchOnBackend,
      failure: vscode.l10n.t('The backend could not be switched on'),
      run: async ([arg]) => writeSetting(`${await pick(arg, vscode.l10n.t('Switch on'))}.enabled`, true),
    },
    {
      id: commands.switchOffBackend,
      failure: vscode.l10n.t('The backend could not be switched off'),
      run: async ([arg]) => writeSetting(`${await pick(arg, vscode.l10n.t('Switch off'))}.enabled`, false),
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

/** The backend of a row, or its id itself. */
function tierOf(arg: unknown): Tier | undefined {
  const id = typeof arg === 'object' && arg !== null && 'id' in arg ? arg.id : arg;
  return tiers.find((tier) => id === tier || id === `backend:${tier}`);
}

async function pickBackend(backends: BackendManager, arg: unknown, title: string): Promise<Tier> {
  const given = tierOf(arg);
  if (given !== undefined) return given;
  const chosen = await vscode.window.showQuickPick(backends.statuses().map(backendItem), { title });
  if (chosen === undefined) throw new Fault('cancelled', 'Nothing was chosen');
  return chosen.tier;
}

function backendItem(status: BackendStatus): vscode.QuickPickItem & { readonly tier: Tier } {
  const why = status.ready.ok ? (status.health.known ? status.health.value.why : '') : status.ready.why;
  const state = stateName(stateOf(status));
  return { label: status.backend.label, description: state, detail: dotted(why), tier: status.backend.id };
}

async function chooseBackend({ backends, settings }: BackendCommandServices): Promise<void> {
  const statuses = backends.statuses();
  const order = statuses.map(({ backend }) => backend.label).join(' → ');
  const forced = settings()['routing.forced'];
  const items = [
    {
      label: vscode.l10n.t('$(list-ordered) Automatic'),
      description: forced === 'none' ? vscode.l10n.t('now') : '',
      detail: vscode.l10n.t('The first that can: {0}', order),
      tier: 'none' as const,
    },
    ...statuses.map((status) => {
      const item = backendItem(status);
      const isNow = forced === item.tier && vscode.l10n.t('now');
      return { ...item, label: vscode.l10n.t('Only {0}', item.label), description: dotted(isNow, item.description) };
    }),
  ];
  const title = vscode.l10n.t('Which backend shall run the next jobs?');
  const chosen = await vscode.window.showQuickPick(items, { title });
  if (chosen === undefined) return;
  await writeSetting('routing.forced', chosen.tier === 'none' ? undefined : chosen.tier);
}
