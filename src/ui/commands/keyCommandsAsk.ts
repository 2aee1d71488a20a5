import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { KeyVerdict } from '../../core/checkKey.ts';
import { throwIfAborted } from '../../core/kernel/fault.ts';
import type { SecretId } from '../../core/kernel/ports.ts';
import type { KeyRing } from '../../core/keyRing.ts';

/** Where the person's own keys are kept. */
export interface KeyStorage {
  set(id: SecretId, value: string): Promise<void>;
  remove(id: SecretId): Promise<void>;
}

export interface KeyChangeServices {
  readonly keys: KeyRing;
  readonly storage: KeyStorage;
  readonly checkKey: (id: SecretId, key: string, signal: AbortSignal) => Promise<KeyVerdict>;
  readonly isDemo: boolean;
}

interface KeyWords {
  readonly service: string;
  readonly title: string;
  readonly placeHolder: string;
  /** Where a person gets one. */
  readonly page: string;
  readonly variable: string;
}

const words: Readonly<Record<SecretId, KeyWords>> = {
  runpodApiKey: {
    service: 'RunPod',
    title: 'RunPod API Key',
    placeHolder: 'rpa_…',
    page: 'console.runpod.io/user/settings',
    variable: 'RUNPOD_API_KEY',
  },
  geminiApiKey: {
    service: 'Google',
    title: 'Gemini API Key',
    placeHolder: 'AIza… / AQ.…',
    page: 'aistudio.google.com/apikey',
    variable: 'GEMINI_API_KEY / GOOGLE_API_KEY',
  },
};

/** Stored once the service takes it, or when the person wants it stored anyway. */
export async function setKey(services: KeyChangeServices, id: SecretId, signal: AbortSignal): Promise<void> {
  if (await saidDemo(services)) return;
  for (;;) {
    const key = await askKey(id);
    if (key === undefined) return;
    const { service, title } = words[id];
    const verdict = await vscode.window.withProgress(
      { location: vscode.ProgressLocation.Window, title: vscode.l10n.t('PodRelay: asking {0} about the key', service) },
      () => services.checkKey(id, key, signal),
    );
    const answer = await storeAnyway(verdict, id);
    throwIfAborted(signal);
    if (answer === 'again') continue;
    if (answer === 'store') {
      await services.storage.set(id, key);
      await services.keys.load();
      vscode.window.setStatusBarMessage(vscode.l10n.t('$(key) {0} stored', title), 6_000);
    }
    return;
  }
}

async function askKey(id: SecretId): Promise<string | undefined> {
  const { title, placeHolder, page } = words[id];
  const key = await vscode.window.showInputBox({
    title: vscode.l10n.t('Set {0}', title),
    prompt: vscode.l10n.t("Get one at {0}. It is kept in VS Code's secret storage.", page),
    placeHolder,
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => (/\s/.test(text.trim()) ? vscode.l10n.t('A key has no spaces in it') : undefined),
  });
  const trimmed = key?.trim() ?? '';
  return trimmed === '' ? undefined : trimmed;
}

async function storeAnyway(verdict: KeyVerdict, id: SecretId): Promise<'store' | 'again' | 'leave'> {
  if (verdict.is === 'good') return 'store';
  const { service } = words[id];
  const why = verdict.why.message.replace(/[.\s]+$/, '');
  const text = {
    refused: vscode.l10n.t('{0} refuses this key: {1}.', service, why),
    readOnly: vscode.l10n.t('This key may only read: pods can be watched, and neither started nor stopped.'),
    unknown: vscode.l10n.t('The key could not be tried: {0}.', why),
  }[verdict.is];
  const again = vscode.l10n.t('Enter Another');
  const store = vscode.l10n.t('Store Anyway');
  const chosen = await vscode.window.showWarningMessage(`PodRelay: ${text}`, again, store);
  return chosen === store ? 'store' : chosen === again ? 'again' : 'leave';
}

export async function removeKeys(services: KeyChangeServices): Promise<void> {
  if (await saidDemo(services)) return;
  const { keys, storage } = services;
  await keys.load();
  const set = (['runpodApiKey', 'geminiApiKey'] as const).filter((id) => keys.has(id));
  if (set.length === 0) {
    void vscode.window.showInformationMessage(vscode.l10n.t('PodRelay: no key is set.'));
    return;
  }
  const items = set.map((id) => ({ label: `$(key) ${words[id].title}`, picked: true, id }));
  const chosen = await vscode.window.showQuickPick(items, {
    title: vscode.l10n.t('Remove which keys?'),
    placeHolder: vscode.l10n.t('Pods that run keep running, and cost money, without a key'),
    canPickMany: true,
  });
  if (chosen === undefined || chosen.length === 0) return;
  for (const { id } of chosen) await storage.remove(id);
  await keys.load();
  const left = chosen.filter(({ id }) => keys.has(id)).map(({ id }) => words[id]);
  const [first] = left;
  if (first === undefined) {
    vscode.window.setStatusBarMessage(vscode.l10n.t('$(trash) Keys removed'), 6_000);
    return;
  }
  const text = vscode.l10n.t('PodRelay: the environment variable {0} still gives a key.', first.variable);
  void vscode.window.showInformationMessage(text);
}

/** The demo never reads the person's own keys, and must not change them. */
async function saidDemo({ isDemo }: KeyChangeServices): Promise<boolean> {
  if (!isDemo) return false;
  const end = vscode.l10n.t('End the Demo');
  const text = vscode.l10n.t('PodRelay: the demo has keys of its own. End it to set yours.');
  const chosen = await vscode.window.showInformationMessage(text, end);
  if (chosen === end) await vscode.commands.executeCommand(commands.stopDemo);
  return true;
}
