import type { CommandId } from '../../contract.ts';

/** One line of a tree, in plain data: rows are made by pure functions and drawn by `treeAdapter.ts`. */
export interface Row {
  /** Stable: the thing's own id. Unique in its tree. */
  readonly id: string;
  readonly label: string;
  readonly description?: string;
  readonly icon?: RowIcon;
  /** Markdown. */
  readonly tooltip?: string;
  /** As `viewItem()` makes it. */
  readonly context?: string;
  readonly command?: RowCommand;
  /** What a screen reader says instead of label and description. */
  readonly spoken?: string;
  /** Given = the row can be opened. */
  readonly children?: readonly Row[];
  /** A group: open from the start. */
  readonly open?: boolean;
  /** Two letters at most, at the end of the row. */
  readonly mark?: { readonly badge: string; readonly tooltip: string };
  /** Greyed: it was so when last seen. */
  readonly faded?: boolean;
}

export interface RowIcon {
  /** Codicon. Its shape tells the state too: colour is never the only sign. */
  readonly id: string;
  /** Theme colour. */
  readonly color?: string;
}

export interface RowCommand {
  readonly id: CommandId;
  readonly title: string;
  readonly args?: readonly unknown[];
}

/** Joins what is there by ' · '. */
export function dotted(...parts: readonly (string | undefined | false)[]): string {
  return parts.filter((part) => part !== undefined && part !== false && part !== '').join(' · ');
}

const special = /[\\`*_{}[\]()#+\-.!|<>~$]/g;

/** Text from outside, to stand in Markdown as it is: no link, no icon, no table. */
export function plainMarkdown(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replace(special, '\\$&');
}
