import * as vscode from 'vscode';
import type { ViewId } from '../../contract.ts';
import type { Disposable, Event } from '../../core/kernel/event.ts';
import { toFault } from '../../core/kernel/fault.ts';
import { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { Row } from './row.ts';

export interface TreeOptions {
  readonly view: ViewId;
  /** Rows of the present snapshot. Fetches nothing. */
  readonly rows: () => readonly Row[];
  /** What makes the snapshot change. */
  readonly changes: readonly Event<unknown>[];
  /** Renews the snapshot: called when the view opens and then every `refreshMs` while it is on the screen. */
  readonly refresh: (signal: AbortSignal) => Promise<unknown>;
  readonly refreshMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes within this time are drawn together. */
const drawEveryMs = 200;

/** Draws rows as a tree view. Works only while the view is on the screen; a hidden view costs nothing. */
export function registerTree(options: TreeOptions, life: Lifetime): vscode.TreeView<Row> {
  const { clock, log, rows } = options;
  const changed = life.own(new vscode.EventEmitter<undefined>());
  const view = life.own(
    vscode.window.createTreeView<Row>(options.view, {
      treeDataProvider: {
        onDidChangeTreeData: changed.event,
        getTreeItem: toTreeItem,
        getChildren: (row) => [...(row?.children ?? (row === undefined ? rows() : []))],
      },
    }),
  );

  let drawing = false;
  const draw = async (): Promise<void> => {
    if (drawing || !view.visible) return;
    drawing = true;
    try {
      await clock.sleep(drawEveryMs, life.signal);
      if (view.visible) changed.fire(undefined);
    } catch {
      // The window closes: there is nothing left to draw.
    } finally {
      drawing = false;
    }
  };
  for (const change of options.changes) life.own(change(() => void draw()));

  let onScreen: Lifetime | undefined;
  const follow = (): void => {
    onScreen?.dispose();
    onScreen = undefined;
    if (!view.visible) return;
    onScreen = new Lifetime();
    changed.fire(undefined);
    void keepFresh(options, onScreen.signal).catch((error: unknown) => {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.error(`${options.view} stopped refreshing`, fault);
    });
  };
  life.own(view.onDidChangeVisibility(follow));
  life.own({ dispose: () => onScreen?.dispose() } satisfies Disposable);
  follow();
  return view;
}

async function keepFresh({ refresh, refreshMs, clock, log, view }: TreeOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await refresh(signal);
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.warn(`${view}: ${fault.message}`);
    }
    await clock.sleep(refreshMs, signal);
  }
}

function toTreeItem(row: Row): vscode.TreeItem {
  const openable = row.children !== undefined && row.children.length > 0;
  const item = new vscode.TreeItem(
    row.label,
    openable ? vscode.TreeItemCollapsibleState.Collapsed : vscode.TreeItemCollapsibleState.None,
  );
  item.id = row.id;
  if (row.description !== undefined) item.description = row.description;
  if (row.icon !== undefined) {
    const { id, color } = row.icon;
    item.iconPath = new vscode.ThemeIcon(id, color === undefined ? undefined : new vscode.ThemeColor(color));
  }
  if (row.tooltip !== undefined) item.tooltip = new vscode.MarkdownString(row.tooltip, true);
  if (row.context !== undefined) item.contextValue = row.context;
  if (row.spoken !== undefined) item.accessibilityInformation = { label: row.spoken };
  if (row.command !== undefined) {
    const { id, title, args } = row.command;
    item.command = { command: id, title, arguments: [...(args ?? [])] };
  }
  return item;
}
