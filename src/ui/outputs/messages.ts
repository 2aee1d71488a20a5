import * as z from 'zod/mini';

export const cardActions = ['open', 'reveal', 'copyPath', 'repeat'] as const;
export type CardAction = (typeof cardActions)[number];

export const nextSteps = ['generate', 'runWorkflow', 'startDemo', 'trust', 'refresh', 'openFolder'] as const;
export type NextStep = (typeof nextSteps)[number];

/** What the page may ask for. A file is named, never a path: the name must be one of those that were shown. */
export const pageMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('act'), action: z.enum(cardActions), file: z.string().check(z.maxLength(255)) }),
  z.object({ type: z.literal('next'), step: z.enum(nextSteps) }),
]);
export type PageMessage = z.infer<typeof pageMessage>;

/** One result, ready to draw. Every text is plain: the page puts none of it into HTML. */
export interface OutputCard {
  /** Name in the output folder; unique. */
  readonly file: string;
  readonly kind: 'image' | 'video' | 'other';
  /** Address of the file for the page. */
  readonly source: string;
  /** Backend and cost. */
  readonly caption: string;
  /** What a fallback could not honour, in short; empty = nothing. */
  readonly warning: string;
  readonly tooltip: string;
  /** What a screen reader says of it. */
  readonly spoken: string;
  /** Empty = it can be repeated; else why not. */
  readonly noRepeat: string;
}

export interface Notice {
  readonly text: string;
  readonly steps: readonly { readonly step: NextStep; readonly label: string }[];
}

/** All that the page shows. */
export interface OutputsScene {
  readonly type: 'show';
  readonly cards: readonly OutputCard[];
  /** Instead of the cards, or above them when something failed. */
  readonly notice: Notice | undefined;
  /** Below the cards: how many more there are. */
  readonly more: Notice | undefined;
  readonly labels: Readonly<Record<Exclude<CardAction, 'open'>, string>>;
}
