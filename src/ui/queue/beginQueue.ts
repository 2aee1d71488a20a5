import * as vscode from 'vscode';
import type { QueueService } from '../../core/queue/queueView.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';

export interface BeginQueueServices {
  readonly queue: Pick<QueueService, 'begin'>;
  /** False on a machine where PodRelay has done nothing yet: then nothing is queued. */
  readonly hasRecords: () => boolean;
  readonly log: Log;
}

/** After a window has opened: goes on with what was queued before, unless the workspace is not trusted. */
export function beginQueue({ queue, hasRecords, log }: BeginQueueServices, life: Lifetime): void {
  const begin = (): void => {
    if (!vscode.workspace.isTrusted || !hasRecords()) return;
    queue.begin().catch((error: unknown) => {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.warn(`Queued jobs could not be looked for: ${fault.message}`);
    });
  };
  const start = setImmediate(begin);
  life.own({ dispose: () => clearImmediate(start) });
  life.own(vscode.workspace.onDidGrantWorkspaceTrust(begin));
}
