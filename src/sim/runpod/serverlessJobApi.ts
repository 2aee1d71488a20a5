import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Mounted, SimTime } from '../mount.ts';
import { callerOf, type Keys } from './auth.ts';
import type { FaultBook, Operation } from './faults.ts';
import { Refusal } from './problem.ts';
import type { Recorder, RequestRecord } from './requests.ts';
import type { ServerlessBehaviour } from './serverlessBehaviour.ts';
import type { Bucket } from './serverlessBucket.ts';
import { healthView, type EndpointRecord } from './serverlessEndpoint.ts';
import { defaultTtlMs, hasEnded, jobView, policyRanges, type Job, type JobPolicy } from './serverlessJob.ts';
import type { Queue } from './serverlessQueue.ts';

/** What the caller gets, at once or after a while. */
type Later = { readonly status: number; readonly body: unknown } | Promise<{ status: number; body: unknown }>;

interface Ask {
  readonly endpoint: EndpointRecord;
  readonly jobId: string;
  readonly query: URLSearchParams;
  readonly body: Buffer | 'tooLarge';
  readonly origin: string;
}

interface Verb {
  readonly method: 'GET' | 'POST';
  readonly operation: Operation;
  readonly limit: keyof ServerlessBehaviour['limits'];
  readonly run: (ask: Ask) => Later;
}

/**
 * The job API: `/v2/{endpointId}/{verb}[/{jobId}]` on an origin of its own. Its errors are `{"error": …}`, not problem
 * documents; it sends no rate-limit headers (reference runpod.md, 5.4 to 5.7). It also serves the bucket of workers that
 * upload their results.
 */
export function createJobApi(deps: {
  readonly endpoint: (id: string) => EndpointRecord | undefined;
  readonly queue: Queue;
  readonly bucket: Bucket;
  readonly keys: Keys;
  readonly seed: number;
  readonly time: SimTime;
  readonly behaviour: ServerlessBehaviour;
  readonly faults: FaultBook;
  readonly record: Recorder;
  requestId(): string;
}): Mounted {
  const { behaviour, faults, queue, time } = deps;
  const used = new Map<string, { window: number; count: number }>();
  const timers = new Set<{ cancel(): void }>();
  const ok = (body: unknown): { status: number; body: unknown } => ({ status: 200, body });

  /** Resolves when the job has ended, or after `ms`. */
  const until = (news: Set<() => void>, ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        timers.delete(timer);
        news.delete(done);
        resolve();
      };
      const timer = time.after(ms, done);
      timers.add(timer);
      news.add(done);
    });

  const jobOf = ({ endpoint, jobId }: Ask): Job => {
    const job = endpoint.jobs.get(jobId);
    if (!job) throw new Refusal(404, 'job not found');
    return job;
  };

  const submit = (ask: Ask, sync: boolean): Job => {
    if (ask.body === 'tooLarge') throw new Refusal(behaviour.oversizeStatus, 'request body is too large');
    const { input, policy } = requestOf(ask.body.toString());
    return queue.submit(ask.endpoint, { input, policy, sync, origin: ask.origin });
  };

  const stream = async (ask: Ask): Promise<{ status: number; body: unknown }> => {
    const job = jobOf(ask);
    if (job.chunks.length === 0 && !hasEnded(job)) await until(job.onNews, behaviour.streamHoldMs);
    const chunks = job.chunks.splice(0).map((output) => ({ output }));
    return ok(behaviour.streamShape === 'array' ? chunks : { status: job.status, stream: chunks });
  };

  const verbs: Readonly<Record<string, Verb>> = {
    run: {
      method: 'POST',
      operation: 'runJob',
      limit: 'run',
      run: (ask) => ok({ id: submit(ask, false).id, status: 'IN_QUEUE' }),
    },
    runsync: {
      method: 'POST',
      operation: 'runJobSync',
      limit: 'read',
      run: async (ask) => {
        const wait = Number(ask.query.get('wait') ?? 90_000);
        if (!(wait >= 1_000 && wait <= 300_000)) throw new Refusal(400, 'wait must be from 1000 to 300000');
        const job = submit(ask, true);
        if (!hasEnded(job)) await until(job.onEnd, wait);
        return ok(jobView(job));
      },
    },
    status: { method: 'GET', operation: 'getJobStatus', limit: 'read', run: (ask) => ok(jobView(jobOf(ask))) },
    stream: { method: 'GET', operation: 'streamJob', limit: 'read', run: stream },
    cancel: {
      method: 'POST',
      operation: 'cancelJob',
      limit: 'cancel',
      run: (ask) => {
        const job = jobOf(ask);
        if (hasEnded(job) && behaviour.cancelEnded === 400) throw new Refusal(400, 'job has already ended');
        queue.cancel(ask.endpoint, job);
        return ok({ id: job.id, status: job.status });
      },
    },
    retry: {
      method: 'POST',
      operation: 'retryJob',
      limit: 'run',
      run: (ask) => {
        const job = jobOf(ask);
        if (job.status !== 'FAILED' && job.status !== 'TIMED_OUT') {
          throw new Refusal(400, 'only failed or timed-out jobs can be retried');
        }
        queue.retry(ask.endpoint, job);
        return ok({ id: job.id, status: 'IN_QUEUE' });
      },
    },
    'purge-queue': {
      method: 'POST',
      operation: 'purgeQueue',
      limit: 'purge',
      run: ({ endpoint }) => ok({ removed: queue.purge(endpoint), status: 'completed' }),
    },
    health: {
      method: 'GET',
      operation: 'getEndpointHealth',
      limit: 'read',
      run: ({ endpoint }) => ok(healthView(endpoint, time.now(), behaviour)),
    },
  };

  const take = (limit: Verb['limit'], name: string, key: string): void => {
    const window = Math.floor(time.now() / 10_000);
    const slot = used.get(`${name} ${key}`);
    const count = slot?.window === window ? slot.count + 1 : 1;
    used.set(`${name} ${key}`, { window, count });
    if (count > behaviour.limits[limit]) throw tooMany(10 - Math.floor((time.now() % 10_000) / 1000));
  };
  const tooMany = (seconds: number): Refusal =>
    new Refusal(
      429,
      'too many requests',
      undefined,
      behaviour.saysRetryAfter ? { 'Retry-After': String(seconds) } : {},
    );

  const answer = (req: IncomingMessage, url: URL, body: Ask['body']): Later => {
    const [, version, endpointId = '', name = '', jobId = ''] = url.pathname.split('/');
    const verb = version === 'v2' ? verbs[name] : undefined;
    const authorization = req.headers.authorization?.trim();
    // RunPod's pages show the bare key as well.
    const bearer =
      authorization !== undefined && !authorization.includes(' ') ? `Bearer ${authorization}` : authorization;
    const caller = callerOf(bearer, deps.keys, deps.seed);
    if (!verb) throw new Refusal(404, 'not found');
    if (faults.strike(['revokedKey'], [verb.operation], endpointId)) throw new Refusal(401, 'invalid key');
    if (caller.may === 'ownPod' || (caller.may === 'read' && verb.method === 'POST')) {
      throw new Refusal(403, 'access denied');
    }
    const scarce = faults.strike(['rateLimited'], [verb.operation], endpointId);
    if (scarce) throw tooMany(scarce.retryAfterSeconds ?? 10);
    const endpoint = deps.endpoint(endpointId);
    if (endpoint?.spec.type !== 'QUEUE') throw new Refusal(404, 'endpoint not found');
    take(verb.limit, `${endpointId} ${name}`, caller.key);
    if (req.method !== verb.method) throw new Refusal(405, 'method not allowed');
    return verb.run({ endpoint, jobId, query: url.searchParams, body, origin: `http://${req.headers.host ?? ''}` });
  };

  const serve = async (
    req: IncomingMessage,
    res: ServerResponse,
    body: Ask['body'],
    entry: RequestRecord,
  ): Promise<void> => {
    const url = new URL(req.url ?? '/', 'http://runpod.invalid');
    const [, , endpointId = '', name = ''] = url.pathname.split('/');
    const operation = verbs[name]?.operation;
    if (operation !== undefined) entry.operation = operation;
    const kinds = ['status', 'reset', 'hang', 'delay', 'truncatedJson', 'html'] as const;
    const broken = operation === undefined ? undefined : faults.strike(kinds, [operation], endpointId);
    const send = (status: number, text: string, type: string, headers: Readonly<Record<string, string>> = {}): void => {
      entry.status = status;
      if (res.destroyed) return;
      const length = Buffer.byteLength(text);
      res.writeHead(status, {
        'x-request-id': deps.requestId(),
        ...headers,
        'content-type': type,
        'content-length': length,
      });
      res.end(text);
    };
    const strikes = (moment: 'before' | 'after'): boolean => {
      if (broken?.kind !== 'status' && broken?.kind !== 'reset' && broken?.kind !== 'hang') return false;
      if (broken.effect !== moment) return false;
      if (broken.kind === 'status') {
        send(broken.status, JSON.stringify({ error: broken.detail ?? 'upstream failed' }), 'application/json');
      } else {
        entry.status = broken.kind;
        if (broken.kind === 'reset') req.socket.resetAndDestroy();
      }
      return true;
    };
    if (strikes('before')) return;
    let status: number;
    let text: string;
    let headers: Readonly<Record<string, string>> = {};
    try {
      const reply = await answer(req, url, body);
      status = reply.status;
      text = JSON.stringify(reply.body);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      ({ status, headers } = error);
      text = JSON.stringify({ error: error.message });
    }
    if (strikes('after')) return;
    if (broken?.kind === 'html')
      return send(200, '<!doctype html><html><body>Just a moment...</body></html>', 'text/html');
    if (broken?.kind === 'truncatedJson') text = text.slice(0, Math.floor(text.length / 2));
    if (broken?.kind !== 'delay') return send(status, text, 'application/json', headers);
    const timer = time.after(broken.ms, () => {
      timers.delete(timer);
      send(status, text, 'application/json', headers);
    });
    timers.add(timer);
  };

  return {
    handle: (req, res) => {
      const entry = deps.record(req, 'jobs');
      if (faults.strike(['apiDown'], [])) {
        entry.status = 'reset';
        req.socket.destroy();
        return;
      }
      if (deps.bucket.serve(new URL(req.url ?? '/', 'http://runpod.invalid'), res)) {
        entry.status = res.statusCode;
        return;
      }
      const limit = /\/run(\?|$)/.test(req.url ?? '') ? behaviour.runLimitBytes : behaviour.runsyncLimitBytes;
      const chunks: Buffer[] = [];
      let size = 0;
      req.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= limit) chunks.push(chunk);
      });
      req.on('end', () => {
        const body = size > limit ? 'tooLarge' : Buffer.concat(chunks);
        if (body !== 'tooLarge') entry.body = body.toString();
        void serve(req, res, body, entry);
      });
      req.on('error', () => undefined);
    },
    upgrade: (_req, socket) => void socket.destroy(),
    dispose: () => {
      for (const timer of timers) timer.cancel();
      timers.clear();
    },
  };
}

/** Python keeps integers that a double cannot hold, such as seeds up to 2^64; so does this. */
function parseExactly(text: string): unknown {
  const exact = JSON as unknown as {
    parse(text: string, reviver: (key: string, value: unknown, context: { source?: string }) => unknown): unknown;
    rawJSON(text: string): unknown;
  };
  return exact.parse(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(value)
      ? exact.rawJSON(source)
      : value,
  );
}

/** @throws Refusal 400 */
function requestOf(text: string): { input: unknown; policy: JobPolicy } {
  let body: { input?: unknown; policy?: Record<string, unknown> };
  try {
    body = parseExactly(text) as typeof body;
  } catch {
    throw new Refusal(400, 'request body is not valid JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new Refusal(400, 'body must be an object');
  const { policy = {} } = body;
  const inRange = (name: 'executionTimeout' | 'ttl'): number | undefined => {
    const value = policy[name];
    if (value === undefined) return undefined;
    const { least, most } = policyRanges[name];
    if (typeof value === 'number' && value >= least && value <= most) return value;
    throw new Refusal(400, `policy.${name} must be from ${least} to ${most} ms`);
  };
  return {
    input: body.input,
    policy: {
      executionTimeout: inRange('executionTimeout'),
      ttl: inRange('ttl') ?? defaultTtlMs,
      lowPriority: policy['lowPriority'] === true,
    },
  };
}
