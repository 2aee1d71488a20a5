// The script that every pod we deploy carries, run by a real shell against the simulator.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequest } from '../../src/core/fleet/deployPod.ts';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import type { GpuCandidate } from '../../src/core/fleet/rankGpus.ts';
import { openRunpodWorld } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

const candidate: GpuCandidate = {
  gpuId: 'NVIDIA GeForce RTX 3090',
  name: 'RTX 3090',
  memoryGb: 24,
  count: 1,
  cloud: 'COMMUNITY',
  usdPerHourMicros: 9_000_000,
  stock: 'HIGH',
};

interface Container {
  readonly podId: string;
  readonly output: () => string;
  readonly child: ChildProcess;
}

interface ContainerOptions {
  readonly idleSeconds?: number;
  readonly bootSeconds?: number;
  readonly startCommand?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function have(tool: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
}

describe('the watchdog in a real shell', function () {
  this.timeout(20_000);
  let world: RunpodWorld;
  let folder: string;
  const children: ChildProcess[] = [];

  before(function () {
    if (!have('sh') || !(have('curl') || have('python3'))) {
      console.log('      No POSIX shell with curl or python3 on this machine: the watchdog cannot run here.');
      this.skip();
    }
  });
  beforeEach(async () => {
    world = await openRunpodWorld();
    folder = mkdtempSync(path.join(os.tmpdir(), 'podrelay-watchdog-'));
  });
  afterEach(async () => {
    for (const { pid } of children.splice(0)) {
      if (pid === undefined) continue;
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Creates a pod as we would, and runs what the request asks the container to run, in the container's environment. */
  async function boot(options: ContainerOptions = {}): Promise<Container> {
    const request: DeployRequest = {
      candidates: [candidate],
      image: 'runpod/comfyui:latest',
      containerDiskGb: 30,
      storage: { kind: 'none' },
      watchdog: {
        idleSeconds: options.idleSeconds ?? 1,
        bootSeconds: options.bootSeconds ?? 60,
        startCommand: options.startCommand ?? 'sleep 60',
      },
    };
    const pod = await world.client.createPod(createRequest('podrelay-dog', candidate, request), world.signal);
    const sent = JSON.parse(world.sim.requests.find((one) => one.operation === 'createPod')?.body ?? '{}');
    const { entrypoint, cmd } = JSON.parse(sent.args) as { entrypoint: string[]; cmd: string[] };
    const [program = '', ...args] = [...entrypoint, ...cmd];
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        ...sent.env,
        RUNPOD_POD_ID: pod.id,
        RUNPOD_API_KEY: world.sim.podKey(pod.id),
        RUNPOD_API_BASE_URL: world.origin,
        PODRELAY_COMFY_URL: world.proxyTemplate.replace('{podId}', pod.id).replace('{port}', '8188'),
        PODRELAY_POLL_SECONDS: '0.2',
        PODRELAY_RETRY_SECONDS: '1',
        ...options.env,
      },
    });
    children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
    return { podId: pod.id, output: () => text, child };
  }

  function put(tool: string, script: string): void {
    const file = path.join(folder, tool);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }
  /** Puts a tool of this machine there, if it has it. */
  function link(tool: string): void {
    const where = spawnSync('sh', ['-c', `command -v ${tool}`])
      .stdout.toString()
      .trim();
    if (where !== '') symlinkSync(where, path.join(folder, tool));
  }

  const status = (): string => world.sim.state().pods[0]?.status ?? 'none';
  const stops = (): (number | string | undefined)[] =>
    world.sim.requests.filter((one) => one.body === '{"action":"stop"}').map((one) => one.status);

  async function until(holds: () => boolean, ms: number, why: () => string): Promise<void> {
    for (const end = Date.now() + ms; !holds() && Date.now() < end;) await pause(20);
    assert.ok(holds(), why());
  }
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  it("stops the pod when the queue has been empty for the idle time, with the pod's own key", async () => {
    const { podId, output } = await boot({ idleSeconds: 2 });
    await until(() => status() === 'RUNNING', 3_000, output);
    const startedAt = Date.now();
    await until(() => status() === 'EXITED', 8_000, output);
    assert.ok(Date.now() - startedAt > 900, 'not before the time');
    const stop = world.sim.requests.find((one) => one.body === '{"action":"stop"}');
    assert.equal(stop?.headers.authorization, `Bearer ${world.sim.podKey(podId)}`);
    assert.equal(stop.headers['user-agent'], 'podrelay-watchdog');
    assert.match(output(), /idle for \d+ s; stopping the pod/);
    assert.ok(!output().includes(world.sim.podKey(podId)), 'the key is not in the log');
  });

  it('leaves a busy pod alone, however long the job takes', async () => {
    world.comfy.running = [[0, 'job', { '1': { inputs: { text: '"queue_running": []' } } }]];
    const { output } = await boot();
    await pause(4_000);
    assert.equal(status(), 'RUNNING', output());
    assert.ok(world.comfy.asked > 3, 'it does ask');
    world.comfy.running = [];
    await until(() => status() === 'EXITED', 5_000, output);
  });

  it('runs beside the start command of the image', async () => {
    const { output, child } = await boot({ startCommand: "sh -c 'echo image started as $$; exec sleep 60'" });
    await until(() => output().includes('image started'), 3_000, output);
    assert.match(output(), new RegExp(`image started as ${child.pid}\\b`), 'as process 1 of the container');
    await until(() => status() === 'EXITED', 8_000, output);
  });

  it('stops a pod whose ComfyUI never answers, after the time to boot', async () => {
    world.sim.faults.set({ failure: { kind: 'neverReady' } });
    const { output } = await boot({ idleSeconds: 1, bootSeconds: 3 });
    const startedAt = Date.now();
    await until(() => status() === 'EXITED', 8_000, output);
    assert.ok(Date.now() - startedAt > 1_900, 'the idle time alone is not enough');
  });

  it('stops a pod whose ComfyUI has died', async () => {
    world.comfy.running = [[0, 'job', {}]];
    const { output } = await boot();
    await until(() => world.comfy.asked > 2, 4_000, output);
    world.sim.faults.set({ failure: { kind: 'status', status: 502, effect: 'before' }, on: ['proxy'] });
    await until(() => status() === 'EXITED', 8_000, output);
  });

  it('repeats the stop until RunPod takes it', async () => {
    world.sim.faults.set({ failure: { kind: 'status', status: 503, effect: 'before' }, on: ['stopPod'], times: 2 });
    const { output } = await boot();
    await until(() => status() === 'EXITED', 10_000, output);
    assert.deepEqual(stops().slice(0, 3), [503, 503, 200]);
  });

  it('asks runpodctl first, and RunPod itself when that fails', async () => {
    const note = path.join(folder, 'asked');
    put('runpodctl', `echo "$*" >> '${note}'\nexit 1`);
    const { podId, output } = await boot({ env: { PATH: `${folder}:${process.env.PATH}` } });
    await until(() => status() === 'EXITED', 8_000, output);
    const [first, second] = readFileSync(note, 'utf8').split('\n');
    assert.deepEqual([first, second], [`stop pod ${podId}`, `pod stop ${podId}`]);
  });

  it('is not held up by a runpodctl that hangs, also where there is no timeout', async () => {
    put('runpodctl', 'trap "" TERM; while :; do sleep 1; done');
    for (const tool of ['sh', 'sleep', 'tr', 'date', 'cat', 'curl', 'python3']) link(tool);
    const { output } = await boot({ env: { PATH: folder, PODRELAY_TOOL_SECONDS: '0.2' } });
    await until(() => status() === 'EXITED', 12_000, output);
  });

  it('goes on with python3 where curl is there and fails', async function () {
    if (!have('python3')) {
      console.log('      No python3 on this machine.');
      return this.skip();
    }
    // As without a bundle of certificates.
    put('curl', 'exit 60');
    const { output } = await boot({ env: { PATH: `${folder}:${process.env.PATH}` } });
    await until(() => status() === 'EXITED', 8_000, output);
    assert.ok(world.comfy.asked > 0);
    assert.deepEqual(stops().slice(0, 1), [200]);
  });

  it('works with python3 where there is no curl', async function () {
    const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)']).stdout?.toString().trim();
    if (!python || !existsSync(python)) {
      console.log('      No python3 on this machine.');
      return this.skip();
    }
    symlinkSync(python, path.join(folder, 'python3'));
    for (const tool of ['sh', 'sleep', 'tr', 'date', 'cat']) link(tool);
    const { output } = await boot({ env: { PATH: folder } });
    await until(() => status() === 'EXITED', 12_000, output);
    const agents = world.sim.requests
      .filter((one) => one.url.endsWith('/queue'))
      .map((one) => one.headers['user-agent']);
    assert.ok(agents.length > 0 && agents.every((agent) => agent?.startsWith('Python-urllib')));
  });

  it('sees a GPU under load as busy', async () => {
    const tool = path.join(folder, 'nvidia-smi');
    writeFileSync(tool, '#!/bin/sh\nprintf "3\\n97\\n"\n');
    chmodSync(tool, 0o755);
    const { output } = await boot({ env: { PATH: `${folder}:${process.env.PATH}` } });
    await pause(4_000);
    assert.equal(status(), 'RUNNING', output());
    writeFileSync(tool, '#!/bin/sh\nprintf "0\\n[N/A]\\n"\n');
    await until(() => status() === 'EXITED', 5_000, output);
  });
});
