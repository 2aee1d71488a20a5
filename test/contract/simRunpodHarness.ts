import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Mounted, SimTime } from '../../src/sim/mount.ts';
import { createRunpodSim, type RunpodSim, type RunpodSimOptions } from '../../src/sim/runpod/runpodSim.ts';

export const apiKey = 'rpa_TESTKEY0000000000000000';
export const readOnlyKey = 'rpa_READONLY000000000000000';

/** Simulated time that stands still until a test moves it. */
export interface ManualTime extends SimTime {
  advance(ms: number): void;
}

export function manualTime(start = Date.parse('2026-11-22T09:00:00Z')): ManualTime {
  let now = start;
  const due = new Set<{ at: number; work: () => void }>();
  return {
    now: () => now,
    after: (ms, work) => {
      const entry = { at: now + ms, work };
      due.add(entry);
      return { cancel: () => due.delete(entry) };
    },
    advance: (ms) => {
      const end = now + ms;
      for (;;) {
        const next = [...due].filter(({ at }) => at <= end).sort((left, right) => left.at - right.at)[0];
        if (!next) break;
        due.delete(next);
        now = Math.max(now, next.at);
        next.work();
      }
      now = end;
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** parsed body; undefined when there is none or it is no JSON */
  readonly json: any; // eslint-disable-line @typescript-eslint/no-explicit-any
}

export interface Bench {
  readonly sim: RunpodSim;
  readonly time: ManualTime;
  readonly apiUrl: string;
  readonly proxyUrl: string;
  /** Pod servers made so far, with the environment each one got. */
  readonly servers: { id: string; env: Record<string, string>; disposed: boolean; seen: string[] }[];
  readonly send: (
    method: string,
    path: string,
    options?: { body?: unknown; key?: string | null; headers?: Record<string, string>; raw?: string | Buffer },
  ) => Promise<Answer>;
  readonly proxied: (
    path: string,
    options?: { method?: string; headers?: Record<string, string>; raw?: Buffer },
  ) => Promise<Answer>;
  readonly close: () => Promise<void>;
}

/** One request over a socket of its own. Rejects when the connection breaks. */
export function exchange(
  url: string,
  options: { method?: string; headers?: Record<string, string>; raw?: string | Buffer } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(
      url,
      { method: options.method ?? 'GET', headers: options.headers ?? {}, agent: false },
      (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          let json: unknown;
          try {
            json = JSON.parse(text);
          } catch {
            json = undefined;
          }
          resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json });
        });
      },
    );
    req.on('error', reject);
    req.end(options.raw);
  });
}

/** A pod's server that says who it is, echoes WebSockets, and keeps still on /silent. */
function podServer(seen: string[], onDispose: () => void): Mounted {
  const sockets = new WebSocketServer({ noServer: true });
  return {
    handle: (req, res) => {
      seen.push(`${req.method} ${req.url} host=${req.headers.host}`);
      if (req.url === '/silent') return;
      if (req.url === '/trickle') {
        res.writeHead(200);
        res.write('a');
        return;
      }
      req.resume();
      req.on('end', () => {
        res.writeHead(200, { 'content-type': 'application/json' });
        res.end(JSON.stringify({ system: {}, devices: [], url: req.url }));
      });
    },
    upgrade: (req, socket, head) => {
      sockets.handleUpgrade(req, socket, head, (client) => {
        client.on('message', (data) => client.send(`${req.url} ${(data as Buffer).toString()}`));
      });
    },
    dispose: () => {
      onDispose();
      for (const client of sockets.clients) client.terminate();
    },
  };
}

export async function bench(presets: RunpodSimOptions['presets'] = { base: 'fast' }): Promise<Bench> {
  const time = manualTime();
  const servers: Bench['servers'] = [];
  const sim = createRunpodSim({
    time,
    seed: 7,
    apiKey,
    readOnlyKey,
    presets,
    createPodServer: ({ id, env }) => {
      const entry = { id, env, disposed: false, seen: [] as string[] };
      servers.push(entry);
      return podServer(entry.seen, () => (entry.disposed = true));
    },
  });
  const api = await listen(sim.api);
  const proxy = await listen(sim.proxy);
  return {
    sim,
    time,
    apiUrl: api.url,
    proxyUrl: proxy.url,
    servers,
    send: (method, path, options = {}) => {
      const key = options.key === undefined ? apiKey : options.key;
      const raw = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
      return exchange(`${api.url}${path}`, {
        method,
        headers: {
          'user-agent': 'podrelay-test',
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(raw === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(raw)) }),
          ...options.headers,
        },
        ...(raw === undefined ? {} : { raw }),
      });
    },
    proxied: (path, options = {}) => exchange(`${proxy.url}${path}`, options),
    close: async () => {
      sim.dispose();
      await Promise.all([api.close(), proxy.close()]);
    },
  };
}

async function listen(mounted: Mounted): Promise<{ url: string; close(): Promise<void> }> {
  const server: Server = createServer((req, res) => mounted.handle(req, res));
  server.on('upgrade', (req, socket, head) => mounted.upgrade(req, socket, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const podBody = (name: string, more: object = {}): object => ({
  name,
  image: 'runpod/comfyui:latest',
  gpu: { id: 'NVIDIA GeForce RTX 4090', count: 1 },
  disk: 30,
  mounts: { persistent: { size: 60, path: '/workspace' } },
  ports: ['8188/http', '22/tcp'],
  env: { CZ_SESSION: '7f31c2' },
  ...more,
});
