import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import { late } from '../../core/kernel/late.ts';
import type { KeyChangeServices } from './keyCommandsAsk.ts';
import type { Command } from './runCommand.ts';

/** Keys are asked for, tried and stored; nothing else reads or shows them. */
export function keyCommands(services: KeyChangeServices): readonly Command[] {
  const ask = late(() => import('./keyCommandsAsk.ts'));
  return [
    {
      id: commands.setRunpodKey,
      failure: vscode.l10n.t('The RunPod API key could not be set'),
      run: (_args, signal) => ask.setKey(services, 'runpodApiKey', signal),
    },
    {
      id: commands.setGeminiKey,
      failure: vscode.l10n.t('The Gemini API key could not be set'),
      run: (_args, signal) => ask.setKey(services, 'geminiApiKey', signal),
    },
    {
      id: commands.removeKeys,
      failure: vscode.l10n.t('The keys could not be removed'),
      run: () => ask.removeKeys(services),
    },
  ];
}
