import * as z from 'zod/mini';
import type { Exclusion } from '../queue/afterFault.ts';
import { exclusionsOf } from './jobRow.ts';

/** A job as the choice of a backend needs it. */
export interface WaitingRow {
  readonly id: string;
  readonly priority: number;
  readonly place: number;
  readonly fingerprint: string;
  readonly localOnly: boolean;
  readonly excluded: readonly Exclusion[];
  readonly waitsFor: string | undefined;
}

export const waitingColumns = 'id, priority, place, fingerprint, local_only, excluded, waits_for';

export const waitingRow = z.object({
  id: z.string(),
  priority: z.int(),
  place: z.int(),
  fingerprint: z.string(),
  local_only: z.int(),
  excluded: z.string(),
  waits_for: z.nullable(z.string()),
});

export function toWaiting(row: z.infer<typeof waitingRow>): WaitingRow {
  const { id, priority, place, fingerprint } = row;
  return {
    id,
    priority,
    place,
    fingerprint,
    localOnly: row.local_only !== 0,
    excluded: exclusionsOf(row.excluded),
    waitsFor: row.waits_for ?? undefined,
  };
}
