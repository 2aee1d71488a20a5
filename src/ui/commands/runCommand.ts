import * as vscode from 'vscode';
import { commands } from '../../contract.ts';
import type { CommandId } from '../../contract.ts';
import { Fault, toFault } from '../../core/kernel/fault.ts';
import { once } from '../../core/kernel/late.ts';
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

/** The only place that registers commands. What they do is loaded when the first one runs. */
export function registerCommands(load: () => Promise<readonly Command[]>, log: Log, life: Lifetime): void {
  const table = once(async () => new Map((await load()).map((command) => [command.id, command])));
  for (const id of Object.values(commands)) {
    const handler = async (...args: unknown[]): Promise<unknown> => {
      log.debug(`Command ${id}`);
      let failure = vscode.l10n.t('The command could not be run');
      try {
        const command = (await table()).get(id);
        if (command === undefined) throw new Fault('bug', `The command ${id} does nothing`);
        failure = command.failure;
        return await command.run(args, life.signal);
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
