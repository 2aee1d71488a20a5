import * as vscode from 'vscode';
import type { ContextKey } from '../contract.ts';

/** For `when` clauses of the manifest. */
export function setContext(key: ContextKey, value: string | boolean | readonly string[]): void {
  void vscode.commands.executeCommand('setContext', key, value);
}
