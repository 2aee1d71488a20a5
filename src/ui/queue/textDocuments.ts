import * as vscode from 'vscode';
import type { Lifetime } from '../../core/kernel/lifetime.ts';

const scheme = 'podrelay-text';

/** Texts to be read: documents that cannot be changed and that nobody is asked to save. */
export class TextDocuments {
  readonly #texts = new Map<string, string>();
  readonly #life: Lifetime;
  #isRegistered = false;
  #next = 1;

  constructor(life: Lifetime) {
    this.#life = life;
  }

  /** `name` becomes the title of the tab. */
  async show(name: string, text: string): Promise<void> {
    this.#register();
    const uri = vscode.Uri.from({ scheme, path: `/${name.replaceAll('/', '_')}`, query: String(this.#next++) });
    this.#texts.set(uri.toString(), text);
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
  }

  #register(): void {
    if (this.#isRegistered) return;
    this.#isRegistered = true;
    const texts = this.#texts;
    this.#life.own(
      vscode.workspace.registerTextDocumentContentProvider(scheme, {
        provideTextDocumentContent: (uri) => texts.get(uri.toString()),
      }),
    );
    this.#life.own(vscode.workspace.onDidCloseTextDocument(({ uri }) => void texts.delete(uri.toString())));
  }
}
