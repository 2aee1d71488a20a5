import * as vscode from 'vscode';
import { views } from '../../contract.ts';
import { Emitter } from '../../core/kernel/event.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Log } from '../../core/kernel/ports.ts';
import type { OutputsServices } from './outputsView.ts';

export interface OutputsSlot {
  /** The session whose results are shown from now on. */
  attach(services: Omit<OutputsServices, 'signal'>, life: Lifetime): void;
}

/**
 * Registers the Outputs view once for the life of the extension: the editor asks a provider once for a view and then
 * keeps what it made, so a session that came and went would leave a dead page behind. The code of the page is loaded
 * when the view is first opened.
 */
export function registerOutputsView(extensionUri: vscode.Uri, log: Log, life: Lifetime): OutputsSlot {
  const changed = life.own(new Emitter<OutputsServices | undefined>());
  let current: OutputsServices | undefined;
  const set = (next: OutputsServices | undefined): void => {
    current = next;
    changed.fire(next);
  };
  const provider: vscode.WebviewViewProvider = {
    resolveWebviewView: async (view) => {
      const { showOutputs } = await import('./outputsView.ts');
      const ofView = life.child();
      ofView.own(view.onDidDispose(() => ofView.dispose()));
      showOutputs({ view, extensionUri, log, services: () => current, onDidAttach: changed.event }, ofView);
    },
  };
  life.own(vscode.window.registerWebviewViewProvider(views.outputs, provider));
  return {
    attach: (services, session) => {
      const attached = { ...services, signal: session.signal };
      set(attached);
      session.own({
        dispose: () => {
          if (current === attached) set(undefined);
        },
      });
    },
  };
}
