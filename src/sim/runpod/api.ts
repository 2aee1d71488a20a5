import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from 'find-my-way';
import type { SimTime } from '../mount.ts';
import { assertMay, callerOf, type Keys } from './auth.ts';
import type { RunpodBehaviour } from './behaviour.ts';
import type { Call, Route, Stream } from './call.ts';
import type { FaultBook, Operation } from './faults.ts';
import { invalid, Refusal, refusalReply, type Reply } from './problem.ts';
import { createRateLimiter, type Verdict } from './rateLimit.ts';
import type { Recorder, RequestRecord } from './requests.ts';

/** What the wire does with a reply instead of sending it properly. */
type Damage = 'none' | 'truncate' | 'html';

/** RunPod's door: Cloudflare, body limits, keys, quotas, routes, failures of the wire; then the handler. */
export function createApi(deps: {
  readonly routes: readonly Route[];
  readonly keys: Keys;
  readonly seed: number;
  readonly time: SimTime;
  readonly behaviour: RunpodBehaviour;
  readonly faults: FaultBook;
  readonly record: Recorder;
  requestId(): string;
  skewMs(): number;
}): { handle(req: IncomingMessage, res: ServerResponse): void; dispose(): void } {
  const { behaviour, faults, time } = deps;
  const limiter = createRateLimiter(behaviour);
  const router = Router();
  for (const route of deps.routes) router.on(route.method, route.path, () => undefined, route);
  const waiting = new Set<{ cancel(): void }>();
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

  const find = (method: string, path: string): { route: Route; params: Call['params'] } | undefined => {
    const found = router.find(method as (typeof methods)[number], path);
    return found ? { route: found.store as Route, params: found.params } : undefined;
  };

  const later = (ms: number, work: () => void): void => {
    const timer = time.after(ms, () => {
      waiting.delete(timer);
      work();
    });
    waiting.add(timer);
  };

  const answer = (res: ServerResponse, entry: RequestRecord, headers: Record<string, string>, reply: Reply): void => {
    if (res.destroyed) return;
    entry.status = reply.status;
    const body = reply.text ?? (reply.body === undefined ? undefined : JSON.stringify(reply.body));
    res.writeHead(reply.status, {
      ...headers,
      ...reply.headers,
      ...(body === undefined
        ? {}
        : { 'content-type': reply.contentType ?? 'application/json', 'content-length': Buffer.byteLength(body) }),
    });
    res.end(body);
  };

  const damage = (
    res: ServerResponse,
    entry: RequestRecord,
    headers: Record<string, string>,
    reply: Reply,
    how: Damage,
  ): void => {
    if (how === 'html') {
      answer(res, entry, headers, { status: 200, text: htmlPage, contentType: 'text/html; charset=utf-8' });
    } else if (how === 'truncate' && reply.body !== undefined) {
      const text = JSON.stringify(reply.body);
      const { body: _body, ...rest } = reply;
      answer(res, entry, headers, {
        ...rest,
        text: text.slice(0, Math.floor(text.length / 2)),
        contentType: 'application/json',
      });
    } else answer(res, entry, headers, reply);
  };

  const serve = (req: IncomingMessage, res: ServerResponse, body: Buffer | 'tooLarge', entry: RequestRecord): void => {
    const url = new URL(req.url ?? '/', 'http://runpod.invalid');
    const method = req.method ?? 'GET';
    const headers: Record<string, string> = {
      'x-request-id': deps.requestId(),
      date: new Date(time.now() + deps.skewMs()).toUTCString(),
    };
    const found = find(method, url.pathname);
    const operations = found ? operationsOf(found.route, body) : [];
    if (found) entry.operation = found.route.operation;
    const podId = found?.route.path.startsWith('/v2/pods/:id') ? found.params['id'] : undefined;
    if (podId !== undefined) entry.podId = podId;

    const run = (): Reply | Stream => {
      if (faults.strike(['cloudflare1010'], operations) || (behaviour.requireUserAgent && !req.headers['user-agent'])) {
        return { status: 403, text: 'error code: 1010', contentType: 'text/plain; charset=UTF-8' };
      }
      if (/^\/v1(\/|$)/.test(url.pathname)) throw new Refusal(410, 'REST API v1 is gone; use v2.');
      if (body === 'tooLarge') throw new Refusal(413, 'request body is too large');
      const caller = callerOf(req.headers.authorization, deps.keys, deps.seed);
      if (faults.strike(['revokedKey'], operations)) throw new Refusal(401, 'invalid bearer token');
      const scarce = faults.strike(['rateLimited'], operations);
      const verdict: Verdict = scarce
        ? limiter.refuse(caller.key, scarce.window ?? 'minute', scarce.retryAfterSeconds, time.now())
        : limiter.take(caller.key, time.now());
      Object.assign(headers, verdict.headers);
      if (verdict.exceeded) {
        const { window, retryAfterSeconds } = verdict.exceeded;
        throw new Refusal(429, `rate limit exceeded for the ${window} window`, undefined, {
          'Retry-After': String(retryAfterSeconds),
        });
      }
      if (!found) {
        const allowed = methods.filter((other) => find(other, url.pathname));
        if (allowed.length === 0) throw new Refusal(404, 'The requested path was not found.');
        throw new Refusal(405, 'The requested method is not allowed for this path.', undefined, {
          Allow: allowed.join(', '),
        });
      }
      assertMay(caller, operations, podId);
      const repeated = [...new Set(url.searchParams.keys())].find((key) => url.searchParams.getAll(key).length > 1);
      if (repeated !== undefined) throw invalid([`query parameter '${repeated}': sent more than once`]);
      return found.route.run({ params: found.params, query: url.searchParams, body: body.toString(), req, caller });
    };

    const broken = faults.strike(['status', 'reset', 'hang', 'delay', 'truncatedJson', 'html'], operations, podId);
    const strikes = (moment: 'before' | 'after'): boolean => {
      if (broken?.kind === 'reset' && broken.effect === moment) {
        entry.status = 'reset';
        req.socket.resetAndDestroy();
        return true;
      }
      if (broken?.kind === 'hang' && broken.effect === moment) {
        entry.status = 'hang';
        return true;
      }
      if (broken?.kind === 'status' && broken.effect === moment) {
        answer(res, entry, headers, refusalReply(new Refusal(broken.status, broken.detail ?? 'upstream failed')));
        return true;
      }
      return false;
    };

    if (strikes('before')) return;
    const answerIt = (): void => {
      let reply: Reply | Stream;
      try {
        reply = run();
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        reply = refusalReply(error);
      }
      if (strikes('after')) return;
      if ('stream' in reply) {
        entry.status = 200;
        for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
        reply.stream(res);
        return;
      }
      const finished = reply;
      const how: Damage = broken?.kind === 'truncatedJson' ? 'truncate' : broken?.kind === 'html' ? 'html' : 'none';
      if (broken?.kind === 'delay' && broken.effect !== 'before')
        later(broken.ms, () => damage(res, entry, headers, finished, how));
      else damage(res, entry, headers, finished, how);
    };
    if (broken?.kind === 'delay' && broken.effect === 'before') later(broken.ms, answerIt);
    else answerIt();
  };

  return {
    handle: (req, res) => {
      const entry = deps.record(req, 'api');
      if (faults.strike(['apiDown'], [])) {
        entry.status = 'reset';
        req.socket.destroy();
        return;
      }
      const limited = req.method === 'POST' && /^\/v2\/pods\/?(\?|$)/.test(req.url ?? '');
      const chunks: Buffer[] = [];
      let size = 0;
      req.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (!limited || size <= behaviour.createBodyLimitBytes) chunks.push(chunk);
      });
      req.on('end', () => {
        const body = limited && size > behaviour.createBodyLimitBytes ? 'tooLarge' : Buffer.concat(chunks);
        if (body !== 'tooLarge') entry.body = body.toString();
        serve(req, res, body, entry);
      });
      req.on('error', () => undefined);
    },
    dispose: () => {
      for (const timer of waiting) timer.cancel();
      waiting.clear();
    },
  };
}

/** An action is two operations: 'podAction', and the one that its body names. */
function operationsOf(route: Route, body: Buffer | 'tooLarge'): Operation[] {
  if (route.operation !== 'podAction' || body === 'tooLarge') return [route.operation];
  const action = /"action"\s*:\s*"(start|stop|restart|terminate)"/.exec(body.toString())?.[1];
  return action === undefined ? ['podAction'] : ['podAction', `${action as 'start' | 'stop'}Pod`];
}

const htmlPage = '<!doctype html><html><head><title>RunPod</title></head><body>Just a moment...</body></html>';
