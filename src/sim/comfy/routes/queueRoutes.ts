import { ServerTrouble } from '../graph/promptError.ts';
import { route, type Route } from '../http/route.ts';
import { isObject, parsePyJson, type Json, type JsonObject } from '../pyJson.ts';
import { entryJson, type HistoryEntry } from '../run/promptQueue.ts';
import type { ServerState } from '../serverState.ts';

/** `/queue`, `/interrupt`, `/free` and `/history` (comfyui.md 1.4). */
export function queueRoutes(state: ServerState): Route[] {
  return [
    route('GET', '/queue', (call) => {
      const { running, pending } = state.process.queue;
      call.reply.json({ queue_running: running ? [entryJson(running)] : [], queue_pending: pending.map(entryJson) });
    }),
    route('POST', '/queue', async (call) => {
      const body = container(await call.json());
      if (isTruthy(body['clear'])) state.process.queue.clearPending();
      for (const id of iterated(body['delete'])) state.process.queue.deletePending(id);
      call.reply.empty();
    }),
    route('POST', '/interrupt', async (call) => {
      const body = lenientJson((await call.body()).toString('utf8'));
      if (!isObject(body)) throw new ServerTrouble('the body is not an object');
      const id = body['prompt_id'];
      state.process.worker.interrupt(typeof id === 'string' && id !== '' ? id : undefined);
      call.reply.empty();
    }),
    route('POST', '/free', async (call) => {
      const body = await call.json();
      if (!isObject(body)) throw new ServerTrouble('the body is not an object');
      state.process.worker.free(isTruthy(body['unload_models']), isTruthy(body['free_memory']));
      call.reply.empty();
    }),
    route('GET', '/history', (call) => {
      const limit = integer(call.query.get('max_items'));
      const offset = integer(call.query.get('offset')) ?? -1;
      call.reply.json(historyPage([...state.process.queue.history.values()], limit, offset));
    }),
    route('GET', '/history/*', (call) => {
      const entry = state.process.queue.history.get(call.param(0));
      call.reply.json(entry ? { [call.param(0)]: historyJson(entry) } : {});
    }),
    route('POST', '/history', async (call) => {
      const body = container(await call.json());
      if (isTruthy(body['clear'])) state.process.queue.clearHistory();
      for (const id of iterated(body['delete'])) state.process.queue.deleteHistory(id);
      call.reply.empty();
    }),
  ];
}

export function historyJson(entry: HistoryEntry): JsonObject {
  return {
    prompt: entryJson(entry.item),
    outputs: entry.outputs,
    status: entry.status,
    meta: entry.meta,
  };
}

/** The last `limit` entries, or `limit` from `offset` on when that is not negative. */
function historyPage(entries: HistoryEntry[], limit: number | undefined, offset: number): JsonObject {
  const start = offset < 0 && limit !== undefined ? Math.max(0, entries.length - limit) : Math.max(0, offset);
  const page = limit === undefined ? entries.slice(start) : entries.slice(start, start + limit);
  return Object.fromEntries(page.map((entry) => [entry.item.promptId, historyJson(entry)]));
}

function integer(text: string | null): number | undefined {
  if (text === null) return undefined;
  if (!/^\s*[+-]?\d+\s*$/.test(text)) throw new ServerTrouble('not an integer');
  return Number(text);
}

/** A list is as good as an empty object: `"clear" in []` is merely false. */
function container(body: Json): JsonObject {
  if (isObject(body)) return body;
  if (Array.isArray(body)) return {};
  throw new ServerTrouble('the body is not a container');
}

/** Python iterates a string letter by letter; none of them is an id. */
function iterated(value: Json | undefined): string[] {
  if (typeof value === 'string') return [...value];
  return Array.isArray(value) ? value.filter((id) => typeof id === 'string') : [];
}

/** No body and broken JSON count as `{}`. */
function lenientJson(text: string): Json {
  try {
    return parsePyJson(text);
  } catch {
    return {};
  }
}

function isTruthy(value: Json | undefined): boolean {
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== '';
}
