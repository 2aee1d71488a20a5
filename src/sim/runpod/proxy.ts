import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Mounted, SimTime } from '../mount.ts';
import type { RunpodBehaviour } from './behaviour.ts';
import type { FaultBook } from './faults.ts';
import { statusAt } from './podMachine.ts';
import { isReady } from './podRecord.ts';
import type { Pods } from './pods.ts';
import type { Recorder, RequestRecord } from './requests.ts';

type Target =
  | { readonly to: Mounted; readonly podId: string; readonly port: string; readonly rest: string }
  | { readonly refuse: number; readonly html: string; readonly podId?: string };

/**
 * The public door of pods: `/{podId}-{port}/rest`, or a Host of RunPod's form. No authentication, as in life: whoever
 * knows the address is in (RunPod docs, pods/configuration/expose-ports).
 */
export function createProxy(deps: {
  readonly pods: Pods;
  readonly time: SimTime;
  readonly behaviour: RunpodBehaviour;
  readonly faults: FaultBook;
  readonly record: Recorder;
}): Mounted {
  const { pods, time, behaviour, faults } = deps;
  const timers = new Set<{ cancel(): void }>();
  const sockets = new Set<Duplex>();

  const later = (ms: number, work: () => void): { cancel(): void } => {
    const timer = time.after(ms, () => {
      timers.delete(timer);
      work();
    });
    timers.add(timer);
    return {
      cancel: () => {
        timers.delete(timer);
        timer.cancel();
      },
    };
  };

  const target = (req: IncomingMessage): Target => {
    const byHost = /^([a-z0-9]+)-(\d+)\.proxy\./.exec(req.headers.host ?? '');
    const byPath = /^\/([a-z0-9]+)-(\d+)(\/.*|\?.*)?$/i.exec(req.url ?? '');
    const podId = byHost?.[1] ?? byPath?.[1];
    const port = byHost?.[2] ?? byPath?.[2];
    if (podId === undefined || port === undefined) return { refuse: 404, html: page(404) };
    const tail = byHost ? (req.url ?? '/') : (byPath?.[3] ?? '/');
    const pod = pods.find(podId);
    if (!pod?.spec.ports.includes(`${port}/http`)) return { refuse: 404, html: page(404), podId };
    const now = time.now();
    const status = statusAt(pod.phases, now);
    if (status !== 'RUNNING')
      return { refuse: behaviour.proxyWhenStopped, html: page(behaviour.proxyWhenStopped), podId };
    const server = port === '8188' ? pods.serverOf(pod) : undefined;
    if (server) return { to: server, podId, port, rest: tail.startsWith('?') ? `/${tail}` : tail };
    const booting = !isReady(pod, now) && !pod.zeroGpu && !pod.loopbackBind;
    if (booting && behaviour.proxyWhileBooting === 'html200') return { refuse: 200, html: waitingPage, podId };
    return { refuse: 502, html: page(502), podId };
  };

  /** Behind the proxy the server sees RunPod's host name, not the loopback address of the simulator. */
  const forward = (req: IncomingMessage, found: Extract<Target, { to: Mounted }>): void => {
    req.url = found.rest;
    req.headers.host = `${found.podId}-${found.port}.proxy.runpod.net`;
    req.headers['x-forwarded-proto'] = 'https';
  };

  const refuse = (res: ServerResponse, entry: RequestRecord, status: number, html: string): void => {
    entry.status = status;
    res.writeHead(status, { 'content-type': 'text/html; charset=UTF-8', server: 'cloudflare' });
    res.end(html);
  };

  /** An answer past the ServerResponse, which the pod's server still holds and may write to. */
  const overrule = (req: IncomingMessage, entry: RequestRecord, status: number): void => {
    entry.status = status;
    req.socket.end(rawReply(status));
    req.socket.destroySoon();
  };

  const pass = (
    req: IncomingMessage,
    res: ServerResponse,
    found: Extract<Target, { to: Mounted }>,
    entry: RequestRecord,
  ): void => {
    const limit = behaviour.proxyUploadLimitBytes;
    if (Number(req.headers['content-length'] ?? 0) > limit) {
      res.setHeader('connection', 'close');
      refuse(res, entry, 413, page(413));
      return;
    }
    // A body without a length is counted as it comes in; listening for it would start it before the server is ready.
    const push = req.push.bind(req);
    let size = 0;
    req.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
      size += chunk?.length ?? 0;
      if (size > limit && !res.headersSent) overrule(req, entry, 413);
      return push(chunk, encoding);
    };
    const silence = later(behaviour.proxySilenceMs, () => {
      if (!res.headersSent) overrule(req, entry, 524);
    });
    res.on('close', () => {
      silence.cancel();
      if (res.headersSent) entry.status ??= res.statusCode;
    });
    forward(req, found);
    found.to.handle(req, res);
  };

  return {
    handle: (req, res) => {
      const entry = deps.record(req, 'proxy');
      entry.operation = 'proxy';
      const found = target(req);
      if (found.podId !== undefined) entry.podId = found.podId;
      const broken = faults.strike(
        ['status', 'reset', 'hang', 'delay', 'truncatedJson', 'html'],
        ['proxy'],
        found.podId,
      );
      switch (broken?.kind) {
        case 'reset':
          if (broken.effect === 'after' && 'to' in found) return loseReply(req, res, entry, found, 'reset');
          entry.status = 'reset';
          req.socket.resetAndDestroy();
          return;
        case 'hang':
          entry.status = 'hang';
          return;
        case 'status':
          if (broken.effect === 'after' && 'to' in found) return loseReply(req, res, entry, found, broken.status);
          return refuse(res, entry, broken.status, page(broken.status));
        case 'html':
          return refuse(res, entry, 200, waitingPage);
        case 'truncatedJson':
          entry.status = 200;
          res.writeHead(200, { 'content-type': 'application/json' });
          res.end('{"system": {"os": "posix", "ram_to');
          return;
        case 'delay':
          later(broken.ms, () => route(req, res, target(req), entry));
          return;
        case undefined:
          route(req, res, found, entry);
      }
    },
    upgrade: (req, socket, head) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      // node:http has let go of the socket: without a listener a reset by the client would end the process.
      socket.on('error', () => socket.destroy());
      const entry = deps.record(req, 'proxy', true);
      entry.operation = 'proxy';
      const found = target(req);
      if (found.podId !== undefined) entry.podId = found.podId;
      const broken = faults.strike(['status', 'reset', 'hang'], ['proxy'], found.podId);
      if (broken?.kind === 'hang') return;
      if (broken?.kind === 'reset') {
        entry.status = 'reset';
        socket.destroy();
        return;
      }
      const refusal = broken?.status ?? ('to' in found ? undefined : found.refuse);
      if (refusal !== undefined || !('to' in found)) {
        entry.status = refusal ?? 502;
        socket.end(rawReply(refusal ?? 502), () => socket.destroy());
        return;
      }
      entry.status = 101;
      cutLater(socket, found.podId);
      forward(req, found);
      found.to.upgrade(req, socket, head);
    },
    dispose: () => {
      for (const timer of timers) timer.cancel();
      timers.clear();
      for (const socket of sockets) socket.destroy();
    },
  };

  function route(req: IncomingMessage, res: ServerResponse, found: Target, entry: RequestRecord): void {
    if ('to' in found) pass(req, res, found, entry);
    else refuse(res, entry, found.refuse, found.html);
  }

  /** The pod gets the whole request and does its work; the caller gets a broken connection or the proxy's own page. */
  function loseReply(
    req: IncomingMessage,
    res: ServerResponse,
    entry: RequestRecord,
    found: Extract<Target, { to: Mounted }>,
    instead: 'reset' | number,
  ): void {
    entry.status = instead;
    const told = { writeHead: res.writeHead.bind(res), end: res.end.bind(res) };
    let lost = false;
    const lose = (): ServerResponse => {
      if (lost) return res;
      lost = true;
      if (instead === 'reset') req.socket.resetAndDestroy();
      else {
        told.writeHead(instead, { 'content-type': 'text/html' });
        told.end(page(instead));
      }
      return res;
    };
    res.writeHead = lose;
    res.write = () => Boolean(lose());
    res.end = lose;
    forward(req, found);
    found.to.handle(req, res);
  }

  function cutLater(socket: Duplex, podId: string): void {
    const cut = faults.strike(['cutSocket'], ['proxy'], podId);
    if (!cut) return;
    later(cut.afterMs, () => {
      switch (cut.how) {
        case 'close':
          socket.end();
          return;
        case 'reset':
          socket.destroy();
          return;
        case 'mute':
          // No FIN, no data in either direction: the client is not told.
          socket.removeAllListeners('data');
          socket.resume();
          socket.write = () => true;
      }
    });
  }
}

const page = (status: number): string =>
  `<!doctype html><html><head><title>${status} ${STATUS_CODES[status] ?? 'A timeout occurred'}</title></head>` +
  `<body><h1>Error ${status}</h1></body></html>`;

const waitingPage =
  '<!doctype html><html><head><title>Pod is starting</title></head><body>Your service is not ready yet.</body></html>';

const rawReply = (status: number): string => {
  const body = page(status);
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'A timeout occurred'}\r\n` +
    'content-type: text/html; charset=UTF-8\r\nserver: cloudflare\r\nconnection: close\r\n' +
    `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
};
