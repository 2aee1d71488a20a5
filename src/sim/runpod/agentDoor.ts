import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Mounted, SimTime } from '../mount.ts';

export interface AgentDoorOptions {
  readonly podId: string;
  /** The environment that the pod was created with. */
  readonly env: Readonly<Record<string, string>>;
  readonly time: SimTime;
  /** Prompts that run or wait behind the door. */
  readonly queueLength: () => number;
}

const hashVariable = 'PODRELAY_TOKEN_SHA256';
const longestLeaseMs = 3_600_000;
const challenge = 'Bearer realm="PodRelay"';
const closed = 'This ComfyUI is private. Open it from PodRelay.';

/**
 * What PodRelay's pods carry in their start command, as far as callers see it: a pod that was created with the hash of
 * a token lets in whoever shows the token, by header or by a cookie that a link has set; to everyone else it says 401.
 * It does not stop pods. A pod without that hash is as open as any other.
 */
export function withAgentDoor(comfy: Mounted, options: AgentDoorOptions): Mounted {
  const { env, time } = options;
  const hash = Buffer.from(env[hashVariable] ?? '', 'hex');
  if (hash.length !== 32) return comfy;
  // The real door's cookie belongs to a host; here all pods have one host.
  const cookieName = `podrelay-${options.podId}`;
  const upSince = time.now();
  let usedAt = upSince;
  const leases = new Map<string, number>();

  const fits = (token: string | undefined): token is string =>
    token !== undefined && timingSafeEqual(createHash('sha256').update(token).digest(), hash);

  const admission = (req: IncomingMessage): 'inside' | 'link' | 'outside' => {
    const { authorization, cookie, upgrade } = req.headers;
    if (fits(/^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1])) {
      delete req.headers.authorization;
      return 'inside';
    }
    if (req.method === 'GET' && upgrade === undefined && fits(queryOf(req).get('token') ?? undefined)) return 'link';
    const site = req.headers['sec-fetch-site'] ?? 'none';
    const crumbs = (cookie ?? '').split(';').map((crumb) => crumb.trim());
    const ours = crumbs.find((crumb) => crumb.startsWith(`${cookieName}=`));
    if (!fits(ours?.slice(cookieName.length + 1)) || (site !== 'none' && site !== 'same-origin')) return 'outside';
    req.headers.cookie = crumbs.filter((crumb) => crumb !== ours).join('; ');
    return 'inside';
  };

  const state = (): object => {
    const now = time.now();
    const leasedMs = Math.max(0, ...[...leases.values()].map((end) => end - now));
    return {
      agent: 1,
      uptimeSeconds: (now - upSince) / 1_000,
      idleSeconds: options.queueLength() > 0 ? 0 : (now - usedAt) / 1_000,
      idleStopSeconds: Number(env.PODRELAY_IDLE_SECONDS ?? 900),
      leaseSeconds: leasedMs / 1_000,
      comfyui: 'answers',
      queue: options.queueLength(),
      gpuPercent: null,
      stopping: false,
      sockets: 0,
      refused: 0,
    };
  };

  const own = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const route = `${req.method} ${pathOf(req)}`;
    if (route === 'POST /podrelay/lease') {
      let text = '';
      for await (const chunk of req as AsyncIterable<Buffer>) text += chunk.toString();
      const { holder = '', seconds = 180 } = JSON.parse(text || '{}') as { holder?: string; seconds?: number };
      usedAt = time.now();
      leases.set(holder, usedAt + Math.min(seconds * 1_000, longestLeaseMs));
    } else if (route !== 'GET /podrelay/state') return say(res, 404, 'The agent has no such thing.');
    res.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(state()));
  };

  return {
    handle: (req, res) => {
      switch (admission(req)) {
        case 'outside':
          res.setHeader('www-authenticate', challenge);
          return say(res, 401, closed);
        case 'link':
          return enter(req, res, cookieName);
        case 'inside':
          if (pathOf(req).startsWith('/podrelay/')) {
            own(req, res).catch(() => say(res, 400, 'A lease is {"holder": text, "seconds": number}.'));
            return;
          }
          if (req.method !== 'GET' || pathOf(req) === '/view') usedAt = time.now();
          comfy.handle(req, res);
      }
    },
    upgrade: (req, socket, head) => {
      if (admission(req) === 'inside') return comfy.upgrade(req, socket, head);
      const body = `${closed}\n`;
      socket.end(
        `HTTP/1.1 401 Unauthorized\r\nwww-authenticate: ${challenge}\r\ncontent-type: text/plain; charset=utf-8\r\n` +
          `connection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    },
    dispose: () => comfy.dispose(),
  };
}

/** Sets the cookie, and leads to the same address without the token. */
function enter(req: IncomingMessage, res: ServerResponse, cookieName: string): void {
  const query = queryOf(req);
  const token = query.get('token') ?? '';
  query.delete('token');
  const rest = query.toString();
  const address = `./${pathOf(req).split('/').at(-1) ?? ''}${rest === '' ? '' : `?${rest.replaceAll('&', '&amp;')}`}`;
  res.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'set-cookie': `${cookieName}=${token}; Path=/; HttpOnly; SameSite=Strict`,
  });
  res.end(`<!doctype html><meta http-equiv="refresh" content="0;url=${address}"><a href="${address}">ComfyUI</a>`);
}

function say(res: ServerResponse, status: number, text: string): void {
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }).end(`${text}\n`);
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? '/').split('?')[0] ?? '/';
}

function queryOf(req: IncomingMessage): URLSearchParams {
  return new URLSearchParams((req.url ?? '').split('?')[1] ?? '');
}
