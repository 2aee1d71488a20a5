import * as vscode from 'vscode';
import { commands } from '../contract.ts';
import { toFault } from '../core/kernel/fault.ts';
import type { Fault } from '../core/kernel/fault.ts';

/** The one message of a failed action, always with a next step. A cancellation says nothing. */
export async function showFault(what: string, error: unknown): Promise<void> {
  const fault = toFault(error);
  if (fault.kind === 'cancelled') return;
  const openLog = vscode.l10n.t('Open Log');
  const setBudget = vscode.l10n.t('Set Budget…');
  const steps = fault.kind === 'overBudget' ? [setBudget, openLog] : [openLog];
  const chosen = await vscode.window.showErrorMessage(faultText(what, fault), ...steps);
  if (chosen === setBudget) await vscode.commands.executeCommand(commands.setBudget);
  if (chosen === openLog) await vscode.commands.executeCommand(commands.showLog);
}

/** A step after the deed. Its failure is told for itself: the deed is done, and must not be taken for failed. */
export async function afterwards(what: string, step: () => PromiseLike<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    void showFault(what, error);
    return false;
  }
}

export function faultText(what: string, fault: Fault): string {
  const next = fault.facts.nextStep ?? defaultNextStep(fault);
  const message = fault.message.replace(/[.\s]+$/, '');
  return `${what}: ${message}.${next === undefined ? '' : ` ${next}`}`;
}

function defaultNextStep(fault: Fault): string | undefined {
  switch (fault.kind) {
    case 'unreachable':
    case 'timeout':
      return vscode.l10n.t('Start ComfyUI, or check its address in the settings.');
    case 'unauthorized':
      return vscode.l10n.t('Set the API key again.');
    case 'noCredit':
      return vscode.l10n.t('Add credit to the account, then try again.');
    case 'rateLimited':
      return vscode.l10n.t('Wait a little, then try again.');
    case 'unavailable':
    case 'noCapacity':
      return vscode.l10n.t('Try again later, or use another backend.');
    case 'protocol':
    case 'bug':
      return vscode.l10n.t('The log has the details.');
    case 'cancelled':
    case 'rejected':
    case 'mismatch':
    case 'overBudget':
    case 'outOfMemory':
    case 'jobFailed':
    case 'blocked':
    case 'io':
      return undefined;
  }
}
