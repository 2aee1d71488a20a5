import * as vscode from 'vscode';
import { late } from '../../core/kernel/late.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { WorkflowEditorServices } from './workflowEditor.ts';

const languages = ['json', 'jsonc'];

/** Lenses on workflows, and what of the visible editors is one. Nothing is loaded before a JSON file is open. */
export function registerEditor(services: WorkflowEditorServices, life: Lifetime): void {
  const changed = life.own(new vscode.EventEmitter<void>());
  const editor = late(async () => {
    const { WorkflowEditor } = await import('./workflowEditor.ts');
    return new WorkflowEditor(services, () => changed.fire(), life);
  });
  const look = (): void => {
    const documents = vscode.window.visibleTextEditors.map(({ document }) => document);
    const json = documents.filter(({ languageId }) => languages.includes(languageId));
    if (json.length === 0) return;
    editor.look(json).catch((error: unknown) => services.log.warn(`An editor was not read: ${String(error)}`));
  };
  const selector = languages.flatMap((language) => [
    { language, scheme: 'file' },
    { language, scheme: 'untitled' },
  ]);
  life.own(
    vscode.languages.registerCodeLensProvider(selector, {
      onDidChangeCodeLenses: changed.event,
      provideCodeLenses: (document) => editor.lenses(document),
    }),
  );
  life.own(vscode.window.onDidChangeVisibleTextEditors(look));
  look();
}
