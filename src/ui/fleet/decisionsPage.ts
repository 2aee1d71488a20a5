import * as vscode from 'vscode';
import type { Disposable, Event } from '../../core/kernel/event.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';

export interface DecisionsPageOptions {
  readonly text: () => Promise<string>;
  /** What makes it another text. */
  readonly changes: readonly Event<unknown>[];
}

const scheme = 'podrelay-fleet';
const page = vscode.Uri.from({ scheme, path: '/Automatic Pods' });

/** One tab, which follows what happens while it is open. */
export class DecisionsPage {
  readonly #options: DecisionsPageOptions;
  readonly #life: Lifetime;
  readonly #changed = new vscode.EventEmitter<vscode.Uri>();
  #listening: readonly Disposable[] | undefined;
  #isRegistered = false;

  constructor(options: DecisionsPageOptions, life: Lifetime) {
    this.#options = options;
    this.#life = life;
  }

  async show(): Promise<void> {
    this.#register();
    this.#changed.fire(page);
    const document = await vscode.workspace.openTextDocument(page);
    this.#listening ??= this.#options.changes.map((change) => change(() => this.#changed.fire(page)));
    const editor = await vscode.window.showTextDocument(document, { preview: true });
    editor.options = { lineNumbers: vscode.TextEditorLineNumbersStyle.Off };
  }

  #register(): void {
    if (this.#isRegistered) return;
    this.#isRegistered = true;
    const life = this.#life;
    life.own(this.#changed);
    life.own(
      vscode.workspace.registerTextDocumentContentProvider(scheme, {
        onDidChange: this.#changed.event,
        provideTextDocumentContent: () => this.#options.text(),
      }),
    );
    life.own(
      vscode.workspace.onDidCloseTextDocument(({ uri }) => {
        if (uri.scheme === scheme) this.#leave();
      }),
    );
    life.own({ dispose: () => this.#leave() });
  }

  #leave(): void {
    for (const one of this.#listening ?? []) one.dispose();
    this.#listening = undefined;
  }
}
