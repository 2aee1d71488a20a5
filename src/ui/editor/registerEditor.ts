import * as vscode from 'vscode';
import { late } from '../../core/kernel/late.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import { mayBeWorkflow } from './mayBeWorkflow.ts';
import type { WorkflowEditorServices } from './workflowEditor.ts';

const languages = ['json', 'jsonc'];

/** Lenses on workflows, and what of the visible editors is one. Nothing is loaded before one that may be a workflow is open. */
export function registerEditor(services: WorkflowEditorServices, life: Lifetime): void {
  const changed = life.own(new vscode.EventEmitter<void>());
  const editor = late(async () => {
    const { WorkflowEditor } = await import('./workflowEditor.ts');
    return new WorkflowEditor(services, () => changed.fire(), life);
  });
  let isLoaded = false;
  const concerns = (document: vscode.TextDocument): boolean => (isLoaded ||= mayBeWorkflow(document));
  const look = (): void => {
    const documents = vscode.window.visibleTextEditors.map(({ document }) => document);
    const json = documents.filter(({ languageId }) => languages.includes(languageId));
    if (!json.some(concerns)) return;
    editor.look(json).catch((error: unknown) => services.log.warn(`An editor was not read: ${String(error)}`));
  };
  const selector = languages.flatMap((language) => [
    { language, scheme: 'file' },
    { language, scheme: 'untitled' },
  ]);
  life.own(
    vscode.languages.registerCodeLensProvider(selector, {
      onDidChangeCodeLenses: changed.event,
      provideCodeLenses: (document) => (concerns(document) ? editor.lenses(document) : []),
    }),
  );
  life.own(vscode.window.onDidChangeVisibleTextEditors(look));
  look();
}
