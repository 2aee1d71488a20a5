import type { RunpodClient } from '../runpod/runpodClient.ts';
import { compareBill } from './compareBill.ts';
import type { BillComparison } from './compareBill.ts';
import type { Ledger } from './ledger.ts';

export interface BillSources {
  readonly runpod: Pick<RunpodClient, 'billing' | 'podBilling'>;
  readonly ledger: Pick<Ledger, 'statement'>;
}

/** RunPod's bill of so many days, today included, beside the ledger. Faults: whatever RunPod or the records say. */
export async function readBill(
  { runpod, ledger }: BillSources,
  days: number,
  signal: AbortSignal,
): Promise<BillComparison> {
  const query = { bucketSize: 'day', lastN: days } as const;
  const [billed, billedPods] = await Promise.all([runpod.billing(query, signal), runpod.podBilling(query, signal)]);
  // A local day can begin before the same day of RunPod's.
  const { entries, open, nowMs } = await ledger.statement(days + 1);
  return compareBill({ billed, billedPods, entries: [...open, ...entries], days, nowMs });
}
