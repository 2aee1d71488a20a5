import * as vscode from 'vscode';
import { toFault } from '../../core/kernel/fault.ts';
import { late } from '../../core/kernel/late.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { RecoverServices } from './recoverJobs.ts';

const { recover } = late(() => import('./recoverJobs.ts'));

/**
 * After a window has opened, and when the person comes to it from another one that may be closed by now: jobs whose windows
 * have gone are brought to their end. The records are opened when there are any, and nobody is asked and no timer is set
 * when no job in them is unfinished.
 */
export function recoverOnStart(services: RecoverServices, life: Lifetime): void {
  const begin = (): void => {
    if (!vscode.workspace.isTrusted || !services.hasRecords()) return;
    recover(services, life.signal).catch((error: unknown) => {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') services.log.warn(`Earlier jobs could not be looked for: ${fault.message}`);
    });
  };
  const start = setImmediate(begin);
  life.own({ dispose: () => clearImmediate(start) });
  life.own(services.recovery.onDidPark(begin));
  life.own(vscode.workspace.onDidGrantWorkspaceTrust(begin));
  life.own(vscode.window.onDidChangeWindowState(({ focused }) => focused && begin()));
}
