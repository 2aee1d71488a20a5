import * as vscode from 'vscode';
import type { Disposable, Event } from '../../core/kernel/event.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock } from '../../core/kernel/ports.ts';

export interface DecisionsPageOptions {
  readonly text: () => Promise<string>;
  /** What makes it another text. */
  readonly changes: readonly Event<unknown>[];
  readonly clock: Clock;
}

/** Changes within this time are shown together. */
const redrawMs = 500;

const scheme = 'podrelay-fleet';
const page = vscode.Uri.from({ scheme, path: '/Automatic Pods' });

/** One tab, which follows what happens while it is open. */
export class DecisionsPage {
  readonly #options: DecisionsPageOptions;
  readonly #life: Lifetime;
  readonly #changed = new vscode.EventEmitter<vscode.Uri>();
  #listening: readonly Disposable[] | undefined;
  #isRegistered = false;
  #isDrawing = false;

  constructor(options: DecisionsPageOptions, life: Lifetime) {
    this.#options = options;
    this.#life = life;
  }

  async show(): Promise<void> {
    this.#register();
    this.#changed.fire(page);
    const document = await vscode.workspace.openTextDocument(page);
    this.#listening ??= this.#options.changes.map((change) => change(() => void this.#redraw()));
    const editor = await vscode.window.showTextDocument(document, { preview: true });
    editor.options = { lineNumbers: vscode.TextEditorLineNumbersStyle.Off };
  }

  async #redraw(): Promise<void> {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    try {
      await this.#options.clock.sleep(redrawMs, this.#life.signal);
      this.#changed.fire(page);
    } catch {
      // The window closes: nobody reads it any more.
    } finally {
      this.#isDrawing = false;
    }
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
