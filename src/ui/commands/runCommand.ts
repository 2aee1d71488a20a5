import * as vscode from 'vscode';
import type { CommandId } from '../../contract.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';
import { showFault } from '../notify.ts';

export interface Command {
  readonly id: CommandId;
  /** Begins the message of a failure: 'The workflow could not be run'. */
  readonly failure: string;
  /** The signal aborts when the window closes. What it throws is shown once and logged; a cancellation is neither. */
  readonly run: (args: readonly unknown[], signal: AbortSignal) => Promise<unknown>;
}

/** The only place that registers commands. */
export function registerCommands(table: readonly Command[], log: Log, life: Lifetime): void {
  for (const { id, failure, run } of table) {
    const handler = async (...args: unknown[]): Promise<unknown> => {
      log.debug(`Command ${id}`);
      try {
        return await run(args, life.signal);
      } catch (error) {
        const fault = toFault(error);
        if (fault.kind === 'cancelled') return undefined;
        log.error(failure, error);
        // Not awaited: the message may stay for minutes, the command has ended.
        void showFault(failure, fault).catch((unshown: unknown) =>
          log.error('The message could not be shown', unshown),
        );
        return undefined;
      }
    };
    life.own(vscode.commands.registerCommand(id, handler));
  }
}
