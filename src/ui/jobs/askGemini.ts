import * as vscode from 'vscode';
import type { ConsentQuestion } from '../../core/gemini/consentQuestion.ts';
import { abortFault, throwIfAborted } from '../../core/kernel/fault.ts';
import { afterwards } from '../notify.ts';
import { writeSetting } from '../writeSetting.ts';
import { geminiQuestion } from './geminiQuestion.ts';

/**
 * Asks before Gemini is paid for a job. A closed dialog is a no. A job that ends meanwhile takes its question along as far
 * as the editor allows: the answer counts no more.
 */
export async function askGemini(question: ConsentQuestion, signal: AbortSignal): Promise<boolean> {
  throwIfAborted(signal);
  const use = vscode.l10n.t('Use Gemini');
  const always = vscode.l10n.t('Always');
  const { message, detail } = geminiQuestion(question);
  const answer = vscode.window.showWarningMessage(message, { modal: true, detail }, use, always);
  const chosen = await untilEnded(answer, signal);
  if (chosen === always) {
    const failure = vscode.l10n.t("Gemini is used this time, but 'always' could not be kept");
    await afterwards(failure, () => writeSetting('gemini.fallback', 'always'));
  }
  return chosen === use || chosen === always;
}

function untilEnded<T>(answer: Thenable<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(abortFault(signal));
    signal.addEventListener('abort', end, { once: true });
    answer.then(resolve, reject).then(() => signal.removeEventListener('abort', end));
  });
}
