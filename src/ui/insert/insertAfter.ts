import path from 'node:path';
import * as vscode from 'vscode';
import type { MediaKind } from '../../core/outputs/mediaKind.ts';
import type { NextStep } from '../jobs/jobStarter.ts';
import { isMarkup, mediaMarkup, spotAfter } from './mediaMarkup.ts';
import type { MarkupLanguage, ShownFile } from './mediaMarkup.ts';
import { afterEdits, findAgain } from './passage.ts';
import type { Passage } from './passage.ts';

/**
 * Offers to put what a job makes behind the selection that it was made from, wherever that is by then. Undefined where the
 * language has no markup for it.
 */
export function insertAfterSelection({ document, selection }: vscode.TextEditor): NextStep | undefined {
  const { languageId: language } = document;
  if (!isMarkup(language)) return undefined;
  const alt = document.getText(selection);
  const first: Passage = { start: document.offsetAt(selection.start), end: document.offsetAt(selection.end) };
  let now: { readonly text: string; readonly at: Passage } | undefined = { text: alt, at: first };
  const following = vscode.workspace.onDidChangeTextDocument(({ document: changed, contentChanges }) => {
    if (changed !== document || now === undefined) return;
    const edits = contentChanges.map(({ rangeOffset, rangeLength, text }) => {
      return { offset: rangeOffset, removed: rangeLength, added: text.length };
    });
    const at = afterEdits(now.at, edits);
    now = at === undefined ? undefined : { text: textOf(document, at), at };
  });
  return {
    title: (outputs) => titleOf(language, outputs[0]?.kind),
    async take(outputs) {
      const markup = markupOf(language, outputs, alt, document.uri);
      const open = await reopened(document);
      if (open === undefined) return offerElsewhere(markup);
      // What was replaced as a whole, as by a file that was read again, is looked for as it was in the beginning.
      const { text, at } = now ?? { text: alt, at: first };
      const place = open === document && now !== undefined ? at : findAgain(open.getText(), withEndsOf(open, text), at);
      if (place === undefined) return offerElsewhere(markup);
      await insertBehind(open, place, language, markup);
    },
    dispose: () => void following.dispose(),
  };
}

function titleOf(language: MarkupLanguage, kind: MediaKind | undefined): string | undefined {
  if (kind === undefined) return undefined;
  if (kind === 'image') return vscode.l10n.t('Insert Image');
  return kind === 'video' && language === 'html' ? vscode.l10n.t('Insert Video') : vscode.l10n.t('Insert Link');
}

export function markupOf(
  language: MarkupLanguage,
  files: readonly ShownFile[],
  alt: string,
  document: vscode.Uri,
): string {
  return files.map((file) => mediaMarkup(language, file, alt, folderOf(document))).join('\n');
}

/** That links are written from: the document's, else the workspace's. */
function folderOf(document: vscode.Uri): string | undefined {
  return document.scheme === 'file'
    ? path.dirname(document.fsPath)
    : vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
}

function textOf(document: vscode.TextDocument, { start, end }: Passage): string {
  return document.getText(new vscode.Range(document.positionAt(start), document.positionAt(end)));
}

/** With the line ends of the document. */
function withEndsOf({ eol }: vscode.TextDocument, text: string): string {
  return text.replace(/\r?\n/g, eol === vscode.EndOfLine.CRLF ? '\r\n' : '\n');
}

/** The document as it is now; undefined when it is gone. */
async function reopened(document: vscode.TextDocument): Promise<vscode.TextDocument | undefined> {
  if (!document.isClosed) return document;
  if (document.isUntitled) return undefined;
  return vscode.workspace.openTextDocument(document.uri).then(
    (open) => open,
    () => undefined,
  );
}

async function insertBehind(
  document: vscode.TextDocument,
  { end }: Passage,
  language: MarkupLanguage,
  markup: string,
): Promise<void> {
  const lineAt = (line: number): string | undefined =>
    line < document.lineCount ? document.lineAt(line).text : undefined;
  const { line, character, before, after } = spotAfter(language, document.positionAt(end), lineAt);
  const edit = new vscode.WorkspaceEdit();
  edit.insert(document.uri, new vscode.Position(line, character), `${before}${markup}${after}`);
  if (!(await vscode.workspace.applyEdit(edit))) return offerElsewhere(markup);
  // The cursor stays where the person left it.
  const shown = vscode.window.visibleTextEditors.find((editor) => editor.document === document);
  const editor = await vscode.window.showTextDocument(document, shown?.viewColumn);
  const at = new vscode.Position(line + before.split('\n').length - 1, 0);
  editor.revealRange(new vscode.Range(at, at), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}

/** The passage has gone, so a person says where the markup belongs. */
async function offerElsewhere(markup: string): Promise<void> {
  const atCursor = vscode.l10n.t('Insert at Cursor');
  const copy = vscode.l10n.t('Copy');
  const editor = vscode.window.activeTextEditor;
  const here = editor !== undefined && isMarkup(editor.document.languageId) ? [atCursor] : [];
  const chosen = await vscode.window.showWarningMessage(
    vscode.l10n.t('PodRelay: the text that this was made from is not where it was. Nothing was inserted.'),
    ...here,
    copy,
  );
  if (chosen === copy) await vscode.env.clipboard.writeText(markup);
  if (chosen !== atCursor) return;
  const active = vscode.window.activeTextEditor ?? editor;
  const isDone = (await active?.edit((edit) => edit.insert(active.selection.active, markup))) ?? false;
  if (!isDone) await vscode.env.clipboard.writeText(markup);
}
