import * as vscode from 'vscode';
import type { ViewId } from '../../contract.ts';
import type { Disposable, Event } from '../../core/kernel/event.ts';
import { toFault } from '../../core/kernel/fault.ts';
import { Lifetime } from '../../core/kernel/lifetime.ts';
import type { Clock, Log } from '../../core/kernel/ports.ts';
import type { Row } from './row.ts';
import { rowAddress } from './rowDecorations.ts';
import { TreeNodes } from './treeNodes.ts';
import type { TreeNode } from './treeNodes.ts';

export interface TreeOptions {
  readonly view: ViewId;
  /** Rows of the present snapshot. Fetches nothing. */
  readonly rows: () => readonly Row[];
  /** What makes the snapshot change. */
  readonly changes: readonly Event<unknown>[];
  /** Renews the snapshot: when the view opens, then every `refreshMs` while it is on the screen of a focused window. */
  readonly refresh: (signal: AbortSignal) => Promise<unknown>;
  readonly refreshMs: number;
  /** Commands then get the row, and all that are selected. */
  readonly canSelectMany?: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** Changes within this time are drawn together. */
const drawEveryMs = 200;

/** Draws rows as a tree view. Works only while the view is on the screen; a hidden view costs nothing. */
export function registerTree(options: TreeOptions, life: Lifetime): vscode.TreeView<TreeNode> {
  const { clock, log, rows } = options;
  const changed = life.own(new vscode.EventEmitter<TreeNode[] | undefined>());
  const nodes = new TreeNodes();
  const view = life.own(
    vscode.window.createTreeView<TreeNode>(options.view, {
      canSelectMany: options.canSelectMany ?? false,
      treeDataProvider: {
        onDidChangeTreeData: changed.event,
        getTreeItem: ({ row }) => toTreeItem(options.view, row),
        getChildren: (node) => [...(node?.children ?? nodes.roots)],
      },
    }),
  );
  const update = (): void => {
    const redraw = nodes.update(rows());
    if (redraw === 'all') changed.fire(undefined);
    else if (redraw.length > 0) changed.fire([...redraw]);
  };

  let drawing = false;
  const draw = async (): Promise<void> => {
    if (drawing || !view.visible) return;
    drawing = true;
    try {
      await clock.sleep(drawEveryMs, life.signal);
      if (view.visible) update();
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
    update();
    void keepFresh(options, onScreen).catch((error: unknown) => {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.error(`${options.view} stopped refreshing`, fault);
    });
  };
  life.own(view.onDidChangeVisibility(follow));
  life.own({ dispose: () => onScreen?.dispose() } satisfies Disposable);
  follow();
  return view;
}

async function keepFresh({ refresh, refreshMs, clock, log, view }: TreeOptions, life: Lifetime): Promise<void> {
  const { signal } = life;
  while (!signal.aborted) {
    try {
      await refresh(signal);
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind !== 'cancelled') log.warn(`${view}: ${fault.message}`);
    }
    await clock.sleep(refreshMs, signal);
    await windowFocus(life);
  }
}

/** Nobody looks at a window that is not in front. */
async function windowFocus(life: Lifetime): Promise<void> {
  if (vscode.window.state.focused) return;
  await new Promise<void>((resolve) => {
    const listening = life.own(
      vscode.window.onDidChangeWindowState(({ focused }) => {
        if (!focused) return;
        listening.dispose();
        resolve();
      }),
    );
    life.own({ dispose: resolve });
  });
}

function toTreeItem(view: ViewId, row: Row): vscode.TreeItem {
  const { None, Collapsed, Expanded } = vscode.TreeItemCollapsibleState;
  const openable = row.children !== undefined && row.children.length > 0;
  const item = new vscode.TreeItem(row.label, !openable ? None : row.open === true ? Expanded : Collapsed);
  item.id = row.id;
  const address = rowAddress(view, row);
  if (address !== undefined) item.resourceUri = address;
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
