// When the pod agent stops its pod, and when not: in front of a queue, beside the simulated RunPod.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { createAgentClient } from '../../src/core/fleet/agentClient.ts';
import type { AgentClient } from '../../src/core/fleet/agentClient.ts';
import { PodLeases } from '../../src/core/fleet/agentLease.ts';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import type { Log } from '../../src/core/kernel/ports.ts';
import { eventually, hasPython, pause, serve, startAgent } from './podAgentWorld.ts';
import type { Agent, ContainerOptions, Served } from './podAgentWorld.ts';
import { openRunpodWorld } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

const quiet: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

describe('the pod agent as a watchdog', function () {
  this.timeout(40_000);
  let world: RunpodWorld;
  let comfy: Served;
  let folder: string;
  let queue: number;
  const running: Agent[] = [];
  const ends: (() => Promise<void> | void)[] = [];

  before(function () {
    if (!hasPython()) {
      console.log('      skipped: no python3 from 3.8 on, so the agent cannot run here');
      this.skip();
    }
  });
  beforeEach(async () => {
    world = await openRunpodWorld();
    queue = 0;
    folder = mkdtempSync(path.join(os.tmpdir(), 'podrelay-agent-'));
    comfy = await serve(
      http.createServer((req, res) => {
        if (req.url !== '/prompt' || req.method !== 'GET') req.resume().on('end', () => res.end('done'));
        else res.end(JSON.stringify({ exec_info: { queue_remaining: queue } }));
      }),
    );
  });
  afterEach(async () => {
    for (const agent of running.splice(0)) await agent.end();
    for (const end of ends.splice(0)) await end();
    await comfy.close();
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function boot(options: ContainerOptions = {}): Promise<Agent> {
    const { id } = world.sim.seedPod({ name: 'podrelay-dog', status: 'RUNNING' });
    const agent = await startAgent(comfy.port, {
      idleSeconds: 1,
      ...options,
      env: {
        RUNPOD_POD_ID: id,
        RUNPOD_API_KEY: world.sim.podKey(id),
        RUNPOD_API_BASE_URL: world.origin,
        ...options.env,
      },
    });
    running.push(agent);
    return agent;
  }
  const status = (): string => world.sim.state().pods[0]?.status ?? 'none';
  const stops = () => world.sim.requests.filter((one) => one.body === '{"action":"stop"}');
  const stopped = (agent: Agent, ms = 10_000) => eventually(() => status() === 'EXITED', agent.log, ms);

  function clientOf(agent: Agent): AgentClient {
    const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
    ends.push(() => transport.close());
    return createAgentClient({
      baseUrl: agent.base,
      token: agent.token,
      transport: () => Promise.resolve(transport),
      clock: systemClock,
      log: quiet,
      random: () => 0,
      userAgent: 'PodRelay-test',
    });
  }
  function get(agent: Agent, at: string, method = 'GET', headers = agent.bearer as object): Promise<number> {
    return new Promise((resolve, reject) => {
      const request = http.request(`${agent.base}${at}`, { method, headers: { ...headers } }, (reply) =>
        reply.resume().on('end', () => resolve(reply.statusCode ?? 0)),
      );
      request.on('error', reject).end();
    });
  }

  it("stops an idle pod with the pod's own key, and says why in the log", async () => {
    const agent = await boot();
    const startedAt = Date.now();
    await stopped(agent);
    assert.ok(Date.now() - startedAt > 900, 'not before the time');
    const [stop] = stops();
    assert.match(stop?.headers.authorization ?? '', /^Bearer rpa_pod_/);
    assert.equal(stop?.headers['user-agent'], 'podrelay-agent');
    await eventually(() => agent.log().includes('stop accepted'), agent.log);
    assert.match(agent.log(), /idle for \d+ s; stopping the pod\n.*stop accepted/);
    assert.ok(!agent.log().includes('rpa_pod_'), 'the key is not in the log');
  });

  it('leaves a pod with a queue alone, and tells its state', async () => {
    queue = 3;
    const agent = await boot();
    await pause(2_500);
    assert.equal(status(), 'RUNNING', agent.log());
    const state = await clientOf(agent).state(world.signal);
    assert.deepEqual(
      { ...state, uptimeSeconds: 0, idleSeconds: Math.floor(state.idleSeconds) },
      {
        agent: 1,
        uptimeSeconds: 0,
        idleSeconds: 0,
        idleStopSeconds: 1,
        leaseSeconds: 0,
        comfyui: 'answers',
        queue: 3,
        gpuPercent: state.gpuPercent,
        stopping: false,
      },
    );
    queue = 0;
    await stopped(agent);
  });

  it('takes work for use, and looking for none; a stranger holds no pod', async () => {
    const agent = await boot({ idleSeconds: 2 });
    const look = async (): Promise<number> => {
      for (const at of ['/system_stats', '/queue', '/prompt', '/podrelay/state', '/history/x']) await get(agent, at);
      assert.equal(await get(agent, '/prompt', 'POST', {}), 401);
      return (await clientOf(agent).state(world.signal)).idleSeconds;
    };
    await eventually(() => agent.log().includes('ComfyUI answers'), agent.log);
    await pause(600);
    assert.ok((await look()) >= 0.5);
    await get(agent, '/upload/image', 'POST');
    assert.ok((await look()) < 0.5);
    await pause(600);
    await get(agent, '/view?filename=x.png');
    assert.ok((await look()) < 0.5);
    for (let n = 0; n < 60 && status() === 'RUNNING'; n++) {
      await look().catch(() => undefined);
      await pause(100);
    }
    assert.equal(status(), 'EXITED', agent.log());
  });

  it('keeps a pod that a window uses, until the window lets go or is gone', async () => {
    const agent = await boot();
    const client = clientOf(agent);
    const leases = new PodLeases({
      agentAt: () => Promise.resolve(client),
      clock: systemClock,
      log: quiet,
      holder: 'window 1',
      everyMs: 300,
    });
    ends.push(() => leases.dispose());
    const first = leases.hold(agent.base);
    const second = leases.hold(agent.base);
    first.dispose();
    first.dispose();
    await pause(2_500);
    assert.equal(status(), 'RUNNING', agent.log());
    assert.ok((await client.state(world.signal)).leaseSeconds > 0);
    second.dispose();
    await pause(200);
    assert.equal((await client.state(world.signal)).leaseSeconds, 0, 'let go at once');
    await stopped(agent);
  });

  it('lets the lease of a window that died run out, and grants none for ever', async () => {
    const agent = await boot();
    const client = clientOf(agent);
    assert.ok((await client.lease('window 2', 1e9, world.signal)).leaseSeconds <= 3_600);
    assert.ok((await client.lease('window 2', 2, world.signal)).leaseSeconds <= 2);
    await pause(1_500);
    assert.equal(status(), 'RUNNING', agent.log());
    await stopped(agent);
  });

  it('stops a pod whose ComfyUI never comes, whatever a window says', async () => {
    await comfy.close();
    const agent = await boot({ idleSeconds: 1, bootSeconds: 3 });
    const client = clientOf(agent);
    const startedAt = Date.now();
    assert.equal((await client.lease('window 3', 600, world.signal)).comfyui, 'starting');
    await stopped(agent);
    assert.ok(Date.now() - startedAt > 1_900, 'the idle time alone is not enough');
  });

  it('stops a pod whose ComfyUI has died', async () => {
    queue = 1;
    const agent = await boot();
    await eventually(() => agent.log().includes('ComfyUI answers'), agent.log);
    await comfy.close();
    await stopped(agent);
  });

  it('repeats the stop until RunPod takes it, and drops it when work comes meanwhile', async () => {
    world.sim.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' }, on: ['stopPod'], times: 2 });
    const agent = await boot();
    await stopped(agent);
    assert.deepEqual(
      stops()
        .map((one) => one.status)
        .slice(0, 3),
      [503, 503, 200],
    );
    assert.match(agent.log(), /stopping the pod failed \(503\)/);

    world.sim.faults.clear();
    world.sim.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' }, on: ['stopPod'] });
    const other = await boot();
    await eventually(() => other.log().includes('failed (503)'), other.log);
    queue = 1;
    await pause(1_500);
    world.sim.faults.clear();
    await pause(1_500);
    assert.equal(world.sim.state().pods.at(-1)?.status, 'RUNNING', other.log());
  });

  it('asks runpodctl first, and sees a GPU under load as work', async () => {
    const note = path.join(folder, 'asked');
    const tool = (name: string, text: string): void => {
      writeFileSync(path.join(folder, name), `#!/bin/sh\n${text}\n`);
      chmodSync(path.join(folder, name), 0o755);
    };
    tool('runpodctl', `echo "$*" >> '${note}'\nexit 1`);
    tool('nvidia-smi', 'printf "3\\n97\\n[N/A]\\n"');
    const agent = await boot({ env: { PATH: `${folder}:${process.env.PATH}` } });
    await pause(2_500);
    assert.equal(status(), 'RUNNING', agent.log());
    assert.equal((await clientOf(agent).state(world.signal)).gpuPercent, 97);
    tool('nvidia-smi', 'printf "0\\n[N/A]\\n"');
    await stopped(agent);
    const id = world.sim.state().pods[0]?.id;
    assert.deepEqual(readFileSync(note, 'utf8').split('\n').slice(0, 2), [`stop pod ${id}`, `pod stop ${id}`]);
  });

  it('is started again when it is killed, and goes on counting', async () => {
    const agent = await boot({ idleSeconds: 5 });
    await eventually(() => agent.log().includes('ComfyUI answers'), agent.log);
    await pause(1_000);
    const killed = agent.kill();
    if (!killed) return console.log('        not shown: this system has no /proc');
    const startedAt = Date.now();
    await eventually(() => agent.log().match(/the door is on port/g)?.length === 2, agent.log);
    await stopped(agent);
    assert.ok(Date.now() - startedAt < 6_500, `${Date.now() - startedAt} ms: it began anew`);
  });
});
