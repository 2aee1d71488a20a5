import { route, type Call, type Route } from '../http/route.ts';
import { isObject, parsePyJson, type Json, type JsonObject } from '../pyJson.ts';
import { historyJob, pendingJob, type JobStatus } from '../run/jobs.ts';
import type { ServerState } from '../serverState.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** `/api/jobs` (comfyui.md 1.7): absent in 0.3.64, without cancelling in 0.8.0. */
export function jobsRoutes(state: ServerState): Route[] {
  if (state.traits.jobs === 'absent') return [];
  const lists = (call: Call): void => listJobs(call, state);
  const routes = [
    route('GET', '/jobs', lists, 'api'),
    // The server registers its `/api` routes once more under `/api`.
    route('GET', '/api/jobs', lists, 'api'),
    route('GET', '/jobs/*', (call) => oneJob(call, state), 'api'),
  ];
  if (state.traits.jobs !== 'cancel') return routes;
  return [
    ...routes,
    route('POST', '/jobs/cancel', (call) => cancelMany(call, state), 'api'),
    route('POST', '/jobs/*/cancel', (call) => call.reply.json({ cancelled: cancel(call.param(0), state) }), 'api'),
  ];
}

function listJobs(call: Call, state: ServerState): void {
  const refuse = (error: string): void => call.reply.json({ error }, 400);
  const known = statusesOf(state);
  const wanted = (call.query.get('status') ?? '').split(',').filter((status) => status !== '');
  const invalid = wanted.filter((status) => !known.includes(status as JobStatus));
  if (invalid.length > 0) {
    return refuse(`Invalid status value(s): ${invalid.join(', ')}. Valid values: ${known.join(', ')}`);
  }
  const sortBy = call.query.get('sort_by') ?? 'created_at';
  if (sortBy !== 'created_at' && sortBy !== 'execution_duration') {
    return refuse("sort_by must be 'created_at' or 'execution_duration'");
  }
  const order = call.query.get('sort_order') ?? 'desc';
  if (order !== 'asc' && order !== 'desc') return refuse("sort_order must be 'asc' or 'desc'");
  const limit = optionalInteger(call.query.get('limit'));
  if (limit === 'invalid') return refuse('limit must be an integer');
  if (limit !== undefined && limit <= 0) return refuse('limit must be a positive integer');
  const given = optionalInteger(call.query.get('offset'));
  if (given === 'invalid') return refuse('offset must be an integer');
  const offset = Math.max(0, given ?? 0);
  const workflowId = call.query.get('workflow_id');
  const jobs = allJobs(state)
    .filter((job) => wanted.length === 0 || wanted.includes(String(job['status'] as Json & string)))
    .filter((job) => workflowId === null || job['workflow_id'] === workflowId);
  const rank = (job: JsonObject): number => numberOf(sortBy === 'created_at' ? job['create_time'] : durationOf(job));
  jobs.sort((a, b) => (order === 'asc' ? rank(a) - rank(b) : rank(b) - rank(a)));
  const page = jobs.slice(offset, limit === undefined ? undefined : offset + limit);
  call.reply.json({
    jobs: page,
    pagination: { offset, limit: limit ?? null, total: jobs.length, has_more: offset + page.length < jobs.length },
  });
}

function oneJob(call: Call, state: ServerState): void {
  const id = call.param(0);
  const { running, pending, history } = state.process.queue;
  const entry = history.get(id);
  if (running?.promptId === id) return call.reply.json(pendingJob(running, 'in_progress', state.traits));
  const waiting = pending.find((item) => item.promptId === id);
  if (waiting) return call.reply.json(pendingJob(waiting, 'pending', state.traits));
  if (entry) return call.reply.json(historyJob(entry, state.traits, true));
  call.reply.json({ error: 'Job not found' }, 404);
}

function allJobs(state: ServerState): JsonObject[] {
  const { running, pending, history } = state.process.queue;
  return [
    ...[...history.values()].map((entry) => historyJob(entry, state.traits, false)),
    ...(running ? [pendingJob(running, 'in_progress', state.traits)] : []),
    ...pending.map((item) => pendingJob(item, 'pending', state.traits)),
  ];
}

async function cancelMany(call: Call, state: ServerState): Promise<void> {
  let body: Json;
  try {
    body = parsePyJson((await call.body()).toString('utf8'));
  } catch {
    return call.reply.json({ error: 'Request body must be valid JSON' }, 400);
  }
  const ids = isObject(body) ? body['job_ids'] : undefined;
  if (!Array.isArray(ids)) return call.reply.json({ error: 'job_ids must be a list' }, 400);
  const invalid = ids.filter((id) => typeof id !== 'string' || !UUID.test(id));
  if (invalid.length > 0) {
    return call.reply.json({ error: 'job_ids contains invalid id(s)', invalid_ids: invalid }, 400);
  }
  const cancelled = ids.map((id) => cancel(String(id as string), state));
  call.reply.json({ cancelled: cancelled.includes(true) });
}

/** Running: interrupted; pending: dequeued; else nothing. */
function cancel(id: string, state: ServerState): boolean {
  return state.process.worker.interrupt(id) || state.process.queue.deletePending(id);
}

function statusesOf(state: ServerState): JobStatus[] {
  const statuses: JobStatus[] = ['pending', 'in_progress', 'completed', 'failed'];
  return state.traits.jobs === 'cancel' ? [...statuses, 'cancelled'] : statuses;
}

function optionalInteger(text: string | null): number | 'invalid' | undefined {
  if (text === null) return undefined;
  return /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : 'invalid';
}

function durationOf(job: JsonObject): number {
  return numberOf(job['execution_end_time']) - numberOf(job['execution_start_time']);
}

function numberOf(value: Json | undefined): number {
  return typeof value === 'number' ? value : 0;
}
