import type { TextDocument } from 'vscode';

/** Lines of a workflow are short: such a file is none, and its text is not asked for. */
const mostLines = 200_000;

/** Most JSON is none, and is not to wait for what reads those. */
export function mayBeWorkflow(document: Pick<TextDocument, 'lineCount' | 'getText'>): boolean {
  return document.lineCount <= mostLines && /"(class_type|nodes)"\s*:/.test(document.getText());
}
