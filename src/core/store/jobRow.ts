import * as z from 'zod/mini';
import { Fault } from '../kernel/fault.ts';
import type { Exclusion } from '../queue/afterFault.ts';
import { unpackGraph } from './graphPack.ts';
import type { JobRecord, OutputRow } from './jobRecord.ts';

const outputSchema = z.object({ path: z.string(), bytes: z.int(), kind: z.enum(['image', 'video', 'other']) });
const faultSchema = z.object({ kind: z.string(), message: z.string() });

const exclusions = z.array(
  z.object({ backend: z.string(), why: z.string(), for: z.enum(['ever', 'now']), times: z.int() }),
);

/** Goes before a WHERE; rows have the shape of {@link jobRow}. */
export const selectJobs = 'SELECT job.*, (SELECT graph FROM job_graph WHERE id = job.graph) AS base FROM job';

export const jobRow = z.object({
  id: z.string(),
  label: z.string(),
  base: z.nullable(z.string()),
  graph: z.nullable(z.int()),
  workflow: z.string(),
  state: z.enum(['queued', 'running', 'done', 'failed', 'cancelled', 'lost']),
  backend: z.nullable(z.string()),
  prompt_id: z.nullable(z.string()),
  client_id: z.nullable(z.string()),
  address: z.nullable(z.string()),
  attempts: z.string(),
  outputs: z.string(),
  micros: z.nullable(z.int()),
  cost_basis: z.nullable(z.string()),
  fault: z.nullable(z.string()),
  details: z.string(),
  requested_at: z.int(),
  changed_at: z.int(),
  from_queue: z.int(),
  fingerprint: z.string(),
  excluded: z.string(),
  given_at: z.nullable(z.int()),
  accepted: z.int(),
  resent: z.int(),
  had_second: z.int(),
  second_of: z.nullable(z.string()),
  run: z.int(),
});

export function toRecord(row: z.infer<typeof jobRow>): JobRecord {
  const { prompt_id: promptId, client_id: clientId, address } = row;
  const ids = { ...(promptId === null ? {} : { promptId }), ...(clientId === null ? {} : { clientId }) };
  return {
    id: row.id,
    label: row.label,
    workflow: workflowOf(row),
    details: fromJson(z.record(z.string(), z.unknown()), row.details),
    requestedAt: row.requested_at,
    state: row.state,
    backend: row.backend ?? undefined,
    remote: address === null ? undefined : { address, ...ids },
    attempts: fromJson(z.array(z.unknown()), row.attempts),
    outputs: outputsOf(row.outputs),
    cost: row.micros === null ? undefined : { micros: row.micros, basis: row.cost_basis ?? '' },
    fault: faultOf(row.fault),
    changedAt: row.changed_at,
    ...(row.from_queue === 0
      ? {}
      : {
          queue: {
            accepted: row.accepted !== 0,
            resent: row.resent !== 0,
            hasOther: row.had_second !== 0 || row.second_of !== null,
            run: row.run,
            fingerprint: row.fingerprint,
            excluded: exclusionsOf(row.excluded),
            givenAt: row.given_at ?? undefined,
          },
        }),
  };
}

function workflowOf({ graph, base, workflow }: z.infer<typeof jobRow>): string {
  if (graph === null) return workflow;
  if (base === null) throw new Fault('bug', 'A job record lacks its graph');
  return unpackGraph(base, workflow);
}

export function exclusionsOf(text: string): readonly Exclusion[] {
  return text === '[]' ? [] : fromJson(exclusions, text);
}

export function outputsOf(text: string): readonly OutputRow[] {
  return fromJson(z.array(outputSchema), text);
}

export function faultOf(text: string | null): JobRecord['fault'] {
  return text === null ? undefined : fromJson(faultSchema, text);
}

export function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

export function fromJson<T>(shape: z.ZodMiniType<T>, text: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Fault('bug', 'A job record holds text that is not JSON', {}, { cause: error });
  }
  const parsed = shape.safeParse(json);
  if (!parsed.success) throw new Fault('bug', `A job record has an unexpected shape: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
