import * as vscode from 'vscode';
import { Fault } from '../core/kernel/fault.ts';

export interface ProgressReport {
  readonly message: string;
  /** 0 to 1 over the whole */
  readonly fraction?: number;
}

/** A notification with percent and cancel. The signal aborts with a Fault 'cancelled'. */
export async function withProgress<T>(
  title: string,
  life: AbortSignal,
  work: (report: (at: ProgressReport) => void, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const location = vscode.ProgressLocation.Notification;
  return vscode.window.withProgress({ location, title, cancellable: true }, async (progress, token) => {
    const user = new AbortController();
    const stop = (): void => user.abort(new Fault('cancelled', 'Cancelled'));
    const listening = token.onCancellationRequested(stop);
    if (token.isCancellationRequested) stop();
    let shown = 0;
    const report = ({ message, fraction }: ProgressReport): void => {
      const percent = Math.round((fraction ?? 0) * 100);
      const increment = Math.max(0, percent - shown);
      shown += increment;
      progress.report({ message, increment });
    };
    try {
      return await work(report, AbortSignal.any([user.signal, life]));
    } finally {
      listening.dispose();
    }
  });
}
