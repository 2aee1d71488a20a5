import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import type { Log } from '../../src/core/kernel/ports.ts';
import type { IntendedPod, PodRecords } from '../../src/core/fleet/deployPod.ts';
import { createComfyProbe } from '../../src/core/fleet/comfyProbe.ts';
import { PodService } from '../../src/core/fleet/podService.ts';
import type { PodTimings } from '../../src/core/fleet/podTimings.ts';
import { createRunpodClient } from '../../src/core/runpod/runpodClient.ts';
import type { RunpodClient, RunpodClientOptions } from '../../src/core/runpod/runpodClient.ts';
import type { JobStart } from '../../src/core/store/podRecords.ts';
import type { Mounted, SimTime } from '../../src/sim/mount.ts';
import type { RunpodBehaviour } from '../../src/sim/runpod/behaviour.ts';
import { createRunpodSim } from '../../src/sim/runpod/runpodSim.ts';
import type { RunpodSim } from '../../src/sim/runpod/runpodSim.ts';

export const testApiKey = 'rpa_test_key_0123456789';
export const readOnlyKey = 'rpa_read_only_9876543210';

/** ComfyUI as far as a pod's life is concerned: it answers, and has a queue. */
export interface PodComfy {
  running: unknown[];
  asked: number;
}

export interface RunpodWorld {
  readonly sim: RunpodSim;
  readonly origin: string;
  readonly proxyTemplate: string;
  readonly client: RunpodClient;
  readonly records: MemoryRecords;
  /** Environment of the containers whose ComfyUI was reached, by pod id. */
  readonly environments: ReadonlyMap<string, Record<string, string>>;
  readonly comfy: PodComfy;
  readonly logged: string[];
  readonly signal: AbortSignal;
  newClient(change?: Partial<RunpodClientOptions>): RunpodClient;
  newService(timings?: Partial<PodTimings>, client?: RunpodClient): PodService;
  probe(timeoutMs?: number): ReturnType<typeof createComfyProbe>;
  close(): Promise<void>;
}

export class MemoryRecords implements PodRecords {
  readonly intended: IntendedPod[] = [];
  readonly owned = new Map<string, string>();
  readonly started = new Map<string, JobStart>();
  readonly story: string[] = [];

  async intend(pod: IntendedPod): Promise<void> {
    this.intended.push(pod);
    this.story.push('intend');
  }

  async renew(name: string): Promise<void> {
    const at = this.intended.findIndex((one) => one.name === name);
    if (at !== -1) this.intended[at] = { name, requestedAtMs: Date.now() };
  }

  async own(name: string, podId: string): Promise<void> {
    this.owned.set(name, podId);
    this.#drop(name);
    this.story.push('own');
  }

  async forget(name: string): Promise<void> {
    this.owned.delete(name);
    this.#drop(name);
    this.story.push('forget');
  }

  async noteStart(start: JobStart): Promise<void> {
    this.started.set(start.podId, start);
  }

  async forgetStart(podId: string): Promise<void> {
    this.started.delete(podId);
  }

  async starts(): Promise<readonly JobStart[]> {
    return [...this.started.values()];
  }

  async open(): Promise<readonly IntendedPod[]> {
    return [...this.intended];
  }

  #drop(name: string): void {
    const at = this.intended.findIndex((one) => one.name === name);
    if (at !== -1) this.intended.splice(at, 1);
  }
}

/** RunPod, its pods and their proxy on one loopback port, and the real client and services on top. */
export async function openRunpodWorld(
  change: Partial<RunpodBehaviour> = {},
  options: { readonly scale?: number } = {},
): Promise<RunpodWorld> {
  const time = scaledTime(options.scale ?? 1);
  const environments = new Map<string, Record<string, string>>();
  const comfy: PodComfy = { running: [], asked: 0 };
  const sim = createRunpodSim({
    time,
    seed: 7,
    apiKey: testApiKey,
    readOnlyKey,
    presets: { base: 'fast', change },
    createPodServer: ({ id, env }) => {
      environments.set(id, env);
      return podServer(comfy);
    },
  });
  const server = http.createServer((req, res) =>
    req.url?.startsWith('/v2') ? sim.api.handle(req, res) : sim.proxy.handle(req, res),
  );
  server.on('upgrade', (req, socket, head) => sim.proxy.upgrade(req, socket, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const proxyTemplate = `${origin}/{podId}-{port}`;

  const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
  const logged: string[] = [];
  const note = (text: string): void => void logged.push(text);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const stop = new AbortController();
  const base = {
    transport: async () => transport,
    clock: systemClock,
    log,
    random: () => 0,
    userAgent: 'PodRelay-test',
  };
  const newClient: RunpodWorld['newClient'] = (own) =>
    createRunpodClient({
      ...base,
      baseUrl: `${origin}/v2`,
      apiKey: async () => testApiKey,
      timeoutMs: 5_000,
      createTimeoutMs: 5_000,
      ...own,
    });
  const client = newClient();
  const records = new MemoryRecords();
  const probe: RunpodWorld['probe'] = (timeoutMs) => createComfyProbe(base, timeoutMs);
  const services: PodService[] = [];
  return {
    sim,
    origin,
    proxyTemplate,
    client,
    records,
    environments,
    comfy,
    logged,
    signal: stop.signal,
    newClient,
    probe,
    newService: (timings, own) => {
      const service = new PodService({
        client: own ?? client,
        clock: systemClock,
        log,
        records,
        probe: probe(),
        proxyTemplate,
        timings: { pollMs: 30, confirmMs: 2_000, visibleWithinMs: 2_000, adoptWithinMs: 1_000, ...timings },
      });
      services.push(service);
      return service;
    },
    close: async () => {
      for (const service of services) service.dispose();
      stop.abort();
      sim.dispose();
      await transport.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function scaledTime(scale: number): SimTime {
  const origin = Date.now();
  return {
    now: () => origin + (Date.now() - origin) * scale,
    after: (ms, work) => {
      const timer = setTimeout(work, ms / scale);
      return { cancel: () => clearTimeout(timer) };
    },
  };
}

function podServer(comfy: PodComfy): Mounted {
  return {
    handle: (req, res) => {
      comfy.asked += 1;
      const answers: Record<string, object> = {
        '/system_stats': { system: { os: 'linux', comfyui_version: '0.33.0' }, devices: [{ name: 'cuda:0' }] },
        '/queue': { queue_running: comfy.running, queue_pending: [] },
      };
      const answer = answers[req.url ?? ''];
      res.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
      res.end(JSON.stringify(answer ?? {}));
    },
    upgrade: (_req, socket) => void socket.destroy(),
    dispose: () => undefined,
  };
}
