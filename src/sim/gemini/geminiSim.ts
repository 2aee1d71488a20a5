import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Mounted, SimTime } from '../mount.ts';
import { deliver, jsonAnswer, refusalAnswer, scriptedAnswer } from './geminiAnswer.ts';
import type { GeminiAnswer } from './geminiAnswer.ts';
import { billLine, sumBill } from './geminiBill.ts';
import type { GeminiBill, GeminiBillLine } from './geminiBill.ts';
import { GeminiRefusal, classic, multipleCredentials, refuse } from './geminiErrors.ts';
import { defaultGeminiFaults } from './geminiFaults.ts';
import type { GeminiEffect, GeminiFaults, GeminiRoute } from './geminiFaults.ts';
import { imageReply, meterImage, modelNotFound, paintPicture, readImageOrder } from './geminiImage.ts';
import { createGeminiJobs } from './geminiJobs.ts';
import { modelIds, modelRecord } from './geminiModels.ts';
import { readVideoOrder } from './geminiVideoOrder.ts';

export interface GeminiRequest {
  /** ms since the epoch, simulated */
  readonly at: number;
  readonly route: GeminiRoute;
  readonly method: string;
  /** Without the query */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  /** Parsed JSON, or undefined */
  body: unknown;
  bodyBytes: number;
  /** Of the answer that was begun; 0 = none */
  status: number;
  /** The client went away before the whole answer was sent. */
  closedEarly: boolean;
}

export interface GeminiSim extends Mounted {
  /** Settable as a whole or field by field. */
  faults: GeminiFaults;
  /** The last 500, oldest first */
  readonly requests: readonly GeminiRequest[];
  /** What Google would charge until now, in micro-dollars. */
  bill(): GeminiBill;
  clearRequests(): void;
}

const requestsKept = 500;
const bodyLimitBytes = 100 * 1024 * 1024;
const metadataRoutes: readonly GeminiRoute[] = ['models.list', 'models.get'];

/** Google's Gemini API as far as images, videos, files and models go, for the demo and for tests. */
export function createGeminiSim(options: { time: SimTime; seed: number; apiKey: string }): GeminiSim {
  const { time } = options;
  const requests: GeminiRequest[] = [];
  const lines: GeminiBillLine[] = [];
  const open = new Set<ServerResponse>();
  const timers = new Set<{ cancel(): void }>();
  let generations = 0;
  const jobs = createGeminiJobs(
    () => time.now(),
    () => sim.faults,
    options.seed,
  );

  const after = (ms: number, work: () => void): void => {
    const timer = time.after(ms, () => {
      timers.delete(timer);
      work();
    });
    timers.add(timer);
  };
  const wait = (ms: number): Promise<void> => (ms <= 0 ? Promise.resolve() : new Promise((done) => after(ms, done)));

  function takeEffect(route: GeminiRoute): GeminiEffect | undefined {
    const found = sim.faults.script.find((entry) => entry.on === route && (entry.times ?? 1) > 0);
    if (found?.times !== undefined) found.times--;
    return found?.effect;
  }

  async function generateImage(target: Target, body: unknown): Promise<GeminiAnswer> {
    const { faults } = sim;
    const order = readImageOrder(target.id, target.version, body, faults);
    const salt = `${options.seed}|${++generations}`;
    const count = faults.image.outcome.is === 'picture' ? faults.image.pictures : 0;
    const pictures = [];
    for (let i = 0; i < count; i++) pictures.push(await paintPicture(order, faults, `${salt}|${i}`));
    const draft = faults.image.draft ? await paintPicture(order, faults, `${salt}|draft`) : undefined;
    const usage = meterImage(order, faults);
    await wait(faults.imageMs);
    lines.push(
      billLine(time.now(), 'image', order.model, {
        input: usage.promptTokens,
        text: usage.thoughtTokens + usage.textTokens,
        media: usage.imageTokens,
      }),
    );
    return jsonAnswer(imageReply(order, pictures, draft, usage, faults, `sim-${generations}`));
  }

  async function createVideo(body: unknown, base: string): Promise<GeminiAnswer> {
    const order = readVideoOrder(body);
    const { id, usage } = jobs.create(order);
    lines.push(billLine(time.now(), 'video', order.model, usage));
    // Some ms more: a timer may fire a little early, and the answer must find the job ended.
    if (!order.background) await wait(sim.faults.jobMs + 50);
    return jsonAnswer(jobs.view(id, base, 'create'));
  }

  function download(target: Target, base: string): GeminiAnswer {
    if (target.query.get('alt') !== 'media') return jsonAnswer(jobs.file(target.id, base));
    const bytes = jobs.download(target.id);
    const { redirectTo } = sim.faults.file;
    if (redirectTo === null) return clipAnswer(bytes);
    const location = `${redirectTo}/storage/${target.id}`;
    return { status: 302, contentType: 'text/html', headers: { location }, body: Buffer.alloc(0) };
  }

  function uriBase(req: IncomingMessage): string {
    return sim.faults.file.uriBase ?? `http://${req.headers.host ?? 'localhost'}`;
  }

  function listModels(query: URLSearchParams): GeminiAnswer {
    const asked = query.get('pageSize') ?? '50';
    const size = Math.min(1000, Number(asked) || 50);
    if (!/^\d+$/.test(asked)) throw refuse(400, `Invalid value at 'page_size' (TYPE_INT32), "${asked}"`);
    const from = Number(query.get('pageToken') ?? '0');
    if (!Number.isInteger(from) || from < 0) throw refuse(400, 'Invalid page token.');
    const models = modelIds.slice(from, from + size).map(modelRecord);
    const next = from + size < modelIds.length ? { nextPageToken: String(from + size) } : {};
    return jsonAnswer({ models, ...next });
  }

  function authorize(target: Target, req: IncomingMessage): void {
    if (target.route === 'storage') return;
    const header = req.headers['x-goog-api-key'];
    const inQuery = target.query.get('key');
    const given = [header, inQuery ?? undefined, req.headers.authorization].filter((value) => value !== undefined);
    if (given.length === 0) throw refuse(403, noCredentials);
    if (given.length > 1) throw new GeminiRefusal(400, [classic(400, multipleCredentials)]);
    const { revoked } = sim.faults;
    const refused = revoked === 'everything' || (revoked === 'paid' && isPaid(target.route));
    if (given[0] !== options.apiKey || refused) throw refuse(400, badKey, badKeyDetails);
  }

  async function work(target: Target, req: IncomingMessage, body: unknown): Promise<GeminiAnswer> {
    try {
      authorize(target, req);
      switch (target.route) {
        case 'models.list':
          return listModels(target.query);
        case 'models.get': {
          const model = modelRecord(target.id);
          if (model === undefined) throw modelNotFound(target.id, target.version);
          return jsonAnswer(model);
        }
        case 'image':
          return await generateImage(target, body);
        case 'video.create':
          return await createVideo(body, uriBase(req));
        case 'video.get':
          return jsonAnswer(jobs.view(target.id, uriBase(req), 'poll'));
        case 'video.cancel':
          return jsonAnswer(jobs.cancel(target.id, uriBase(req)));
        case 'video.delete':
          jobs.remove(target.id);
          return jsonAnswer({});
        case 'files.get':
          return jsonAnswer(jobs.file(target.id, uriBase(req)));
        case 'files.download':
          return download(target, uriBase(req));
        case 'storage':
          return clipAnswer(jobs.download(target.id));
        case 'unknown':
          throw refuse(404, 'Requested entity was not found.');
      }
    } catch (error) {
      return refusalAnswer(error);
    }
  }

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const target = readTarget(req);
    const entry = record(target, req);
    const effect = takeEffect(target.route);
    open.add(res);
    res.on('close', () => {
      open.delete(res);
      entry.closedEarly = !res.writableFinished;
    });
    if (effect?.do === 'cut' && effect.at === 'beforeWork') {
      res.destroy();
      return;
    }
    const { bytes, body } = await readBody(req);
    entry.bodyBytes = bytes;
    entry.body = body && parse(body);
    await wait(sim.faults.latencyMs);
    const scripted = effect?.do === 'reply' ? scriptedAnswer(effect) : undefined;
    const effected = effect?.do !== 'reply' || effect.effected === true;
    const own = !effected ? undefined : body === undefined ? tooLarge() : await work(target, req, entry.body);
    const answer = scripted ?? own;
    if (answer === undefined) return;
    entry.status = answer.status;
    deliver(res, answer, effect, after);
  }

  function record(target: Target, req: IncomingMessage): GeminiRequest {
    const entry: GeminiRequest = {
      at: time.now(),
      route: target.route,
      method: req.method ?? 'GET',
      path: target.path,
      query: Object.fromEntries(target.query),
      headers: { ...req.headers },
      body: undefined,
      bodyBytes: 0,
      status: 0,
      closedEarly: false,
    };
    requests.push(entry);
    if (requests.length > requestsKept) requests.shift();
    return entry;
  }

  const sim: GeminiSim = {
    faults: defaultGeminiFaults(),
    requests,
    clearRequests: () => void requests.splice(0),
    bill: () => sumBill(lines),
    handle: (req, res) => {
      serve(req, res).catch(() => res.destroy());
    },
    upgrade: (_req, socket) => socket.destroy(),
    dispose: () => {
      for (const timer of timers) timer.cancel();
      timers.clear();
      for (const res of open) res.destroy();
    },
  };
  return sim;
}

interface Target {
  readonly route: GeminiRoute;
  readonly version: string;
  readonly id: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

const routes: readonly (readonly [string, RegExp, GeminiRoute])[] = [
  ['GET', /^models$/, 'models.list'],
  ['GET', /^models\/([^/:]+)$/, 'models.get'],
  ['POST', /^models\/([^/:]+):generateContent$/, 'image'],
  ['POST', /^interactions$/, 'video.create'],
  ['GET', /^interactions\/([^/]+)$/, 'video.get'],
  ['POST', /^interactions\/([^/]+)\/cancel$/, 'video.cancel'],
  ['DELETE', /^interactions\/([^/]+)$/, 'video.delete'],
  ['GET', /^files\/([^/:]+)$/, 'files.get'],
  ['GET', /^files\/([^/:]+):download$/, 'files.download'],
];

function readTarget(req: IncomingMessage): Target {
  const url = new URL(req.url ?? '/', 'http://sim');
  const base = { path: url.pathname, query: url.searchParams };
  const stored = /^\/storage\/([^/]+)$/.exec(url.pathname);
  if (stored !== null) return { ...base, route: 'storage', version: '', id: stored[1] ?? '' };
  const [, version = '', rest = ''] = /^\/(v1|v1beta)\/(.+?)\/?$/.exec(url.pathname) ?? [];
  for (const [method, pattern, route] of routes) {
    const match = method === req.method ? pattern.exec(decodeURIComponent(rest)) : null;
    if (match !== null) return { ...base, route, version, id: match[1] ?? '' };
  }
  return { ...base, route: 'unknown', version, id: '' };
}

const noCredentials =
  "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.";
const badKey = 'API key not valid. Please pass a valid API key.';
const badKeyDetails = [
  {
    '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
    reason: 'API_KEY_INVALID',
    domain: 'googleapis.com',
    metadata: { service: 'generativelanguage.googleapis.com' },
  },
];

function clipAnswer(body: Buffer): GeminiAnswer {
  return { status: 200, contentType: 'video/mp4', body };
}

function isPaid(route: GeminiRoute): boolean {
  return !metadataRoutes.includes(route);
}

/** Reads all of it, too much as well: a client that still sends would not hear the refusal. */
async function readBody(req: IncomingMessage): Promise<{ readonly bytes: number; readonly body?: Buffer }> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of req as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= bodyLimitBytes) parts.push(part);
  }
  return bytes > bodyLimitBytes ? { bytes } : { bytes, body: Buffer.concat(parts) };
}

function tooLarge(): GeminiAnswer {
  return refusalAnswer(refuse(413, 'Request payload size exceeds the limit.'));
}

function parse(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
