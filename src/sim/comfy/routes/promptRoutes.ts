import { ServerTrouble, promptError } from '../graph/promptError.ts';
import { validatePrompt } from '../graph/validatePrompt.ts';
import { route, type Call, type Route } from '../http/route.ts';
import { isObject, pyStr, type Json, type JsonObject } from '../pyJson.ts';
import { IncomparableItems, type QueueItem } from '../run/promptQueue.ts';
import type { ServerState } from '../serverState.ts';

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `GET` and `POST /prompt` (comfyui.md 1.3). */
export function promptRoutes(state: ServerState): Route[] {
  return [
    route('GET', '/prompt', (call) => {
      call.reply.json({ exec_info: { queue_remaining: state.process.queue.remaining } });
    }),
    route('POST', '/prompt', async (call) => {
      const body = await call.json();
      await submit(call, body, state);
    }),
  ];
}

async function submit(call: Call, body: Json, state: ServerState): Promise<void> {
  if (!isObject(body) && !Array.isArray(body)) throw new ServerTrouble('the body is not a container');
  const request: JsonObject = isObject(body) ? body : {};
  const number = takeNumber(request, state);
  const prompt = request['prompt'];
  if (prompt === undefined) {
    const error = promptError('no_prompt', 'No prompt provided', 'No prompt provided');
    call.reply.json({ error, node_errors: {} }, 400);
    return;
  }
  const promptId = takePromptId(request, state);
  if (promptId === undefined) {
    const message = 'prompt_id must be a canonical lowercase hyphenated UUID';
    const error = promptError('invalid_prompt_id', message, pyStr(request['prompt_id']));
    call.reply.json({ error, node_errors: {} }, 400);
    return;
  }
  const verdict = validatePrompt(prompt, takeTargets(request), state);
  if (!verdict.ok) {
    call.reply.json({ error: verdict.error, node_errors: verdict.nodeErrors }, 400);
    return;
  }
  const item: QueueItem = {
    number,
    promptId,
    graph: verdict.graph,
    extraData: takeExtraData(request, state),
    outputIds: verdict.outputIds,
  };
  const early = runsEarly(item, state);
  try {
    state.process.queue.put(item);
  } catch (failure) {
    if (failure instanceof IncomparableItems) throw new ServerTrouble('the queue cannot order two equal entries');
    throw failure;
  }
  const run = state.process.worker.wake();
  // The worker is another thread: a short run may be over before the reply is sent (comfyui.md 2.6, race B).
  if (early) await run;
  if (losesReply(call, state)) return;
  call.reply.json({ prompt_id: promptId, number, node_errors: verdict.nodeErrors });
}

/** The counter is consumed even if validation fails later, and not at all when the client sent a number. */
function takeNumber(request: JsonObject, state: ServerState): number {
  const given = request['number'];
  if (given !== undefined) {
    const number = typeof given === 'string' && given.trim() !== '' ? Number(given) : given;
    if (typeof number === 'boolean') return number ? 1 : 0;
    if (typeof number === 'bigint') return Number(number);
    if (typeof number !== 'number' || Number.isNaN(number)) throw new ServerTrouble('number is not a number');
    return number;
  }
  const counted = state.process.counter++;
  const front = request['front'];
  return front !== undefined && front !== false && front !== null && front !== 0 ? -counted : counted;
}

/** Undefined when this version refuses it. */
function takePromptId(request: JsonObject, state: ServerState): string | undefined {
  const given = request['prompt_id'];
  if (!state.traits.canonicalPromptIds) return given === undefined ? state.newUuid() : pyStr(given);
  if (given === undefined || given === null) return state.newUuid();
  return typeof given === 'string' && CANONICAL_UUID.test(given) ? given : undefined;
}

function takeTargets(request: JsonObject): string[] | undefined {
  const targets = request['partial_execution_targets'];
  return Array.isArray(targets) ? targets.filter((id) => typeof id === 'string') : undefined;
}

function takeExtraData(request: JsonObject, state: ServerState): JsonObject {
  const given = request['extra_data'];
  const extra: JsonObject = isObject(given) ? { ...given } : {};
  if (request['client_id'] !== undefined) extra['client_id'] = request['client_id'];
  delete extra['auth_token_comfy_org'];
  delete extra['api_key_comfy_org'];
  if (state.traits.stampsCreateTime) extra['create_time'] = Math.round(state.time.now());
  return extra;
}

function runsEarly(item: QueueItem, state: ServerState): boolean {
  const mode = state.faults.current.earlyEvents ?? 'cached';
  if (mode === 'never') return false;
  return mode === 'always' || state.process.worker.wouldBeCached(item);
}

/** The faults that strike after the prompt took effect. True when no reply must be sent. */
function losesReply(call: Call, state: ServerState): boolean {
  const { lostReply, acceptThenDie } = state.faults.current;
  if (lostReply && state.faults.strikes('lostReply', lostReply === true ? undefined : lostReply.times)) {
    call.request.socket.destroy();
    return true;
  }
  if (acceptThenDie && state.faults.strikes('acceptThenDie', 1)) {
    state.time.after(acceptThenDie.afterMs, () => state.die(acceptThenDie.downMs));
  }
  return false;
}
