import * as vscode from 'vscode';
import type { ViewId } from '../../contract.ts';
import type { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Row } from './row.ts';

const scheme = 'podrelay-row';

/** VS Code greys and marks rows by their address only, so everything it has to know is in it. */
export function rowAddress(view: ViewId, { id, faded, mark }: Row): vscode.Uri | undefined {
  if (faded !== true && mark === undefined) return undefined;
  const query = JSON.stringify({ faded: faded === true, ...mark });
  return vscode.Uri.from({ scheme, path: `/${view}/${encodeURIComponent(id)}`, query });
}

/** For all trees of the window together. */
export function registerRowDecorations(life: Lifetime): void {
  life.own(
    vscode.window.registerFileDecorationProvider({
      provideFileDecoration(uri) {
        if (uri.scheme !== scheme) return undefined;
        const { faded, badge, tooltip } = JSON.parse(uri.query) as {
          readonly faded: boolean;
          readonly badge?: string;
          readonly tooltip?: string;
        };
        const color = faded ? new vscode.ThemeColor('disabledForeground') : undefined;
        return new vscode.FileDecoration(badge, tooltip, color);
      },
    }),
  );
}
