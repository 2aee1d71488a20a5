/** One edit of a text, as offsets before it. */
export interface Edit {
  readonly offset: number;
  readonly removed: number;
  readonly added: number;
}

/** A passage of a text that is edited meanwhile, from `start` to `end`. */
export interface Passage {
  readonly start: number;
  readonly end: number;
}

/** Where the passage is after an edit; undefined = it is gone, or nobody can say any more where it ends. Pure. */
export function afterEdit({ start, end }: Passage, { offset, removed, added }: Edit): Passage | undefined {
  const editEnd = offset + removed;
  const grown = added - removed;
  if (offset >= end) return { start, end };
  if (editEnd <= start) return { start: start + grown, end: end + grown };
  const isWithin = offset >= start && editEnd <= end;
  const isAll = offset <= start && editEnd >= end;
  return isWithin && !isAll ? { start, end: end + grown } : undefined;
}

/** All edits of one moment: their offsets are of the text before any of them. Pure. */
export function afterEdits(passage: Passage, edits: readonly Edit[]): Passage | undefined {
  // From the back to the front, so that none moves what the next one names.
  const ordered = [...edits].sort((a, b) => b.offset - a.offset);
  return ordered.reduce<Passage | undefined>((now, edit) => now && afterEdit(now, edit), passage);
}

/** Where a passage is in a text that was closed and opened again: where it was, else where it is alone. Pure. */
export function findAgain(text: string, passage: string, before: Passage): Passage | undefined {
  if (text.slice(before.start, before.end) === passage) return before;
  const start = text.indexOf(passage);
  if (start < 0 || text.indexOf(passage, start + 1) >= 0) return undefined;
  return { start, end: start + passage.length };
}
