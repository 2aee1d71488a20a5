// The behaviours of RunPod that the project was asked for, each under the name it was asked by.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Backend, JobRequest } from '../../src/core/backends/backend.ts';
import { createPodBackend } from '../../src/core/backends/podBackend.ts';
import type { PodBackendServices } from '../../src/core/backends/podBackend.ts';
import { Ledger } from '../../src/core/cost/ledger.ts';
import type { DeployRequest } from '../../src/core/fleet/deployPod.ts';
import { hourlyCostMicros } from '../../src/core/fleet/podCost.ts';
import type { PodService } from '../../src/core/fleet/podService.ts';
import { sightOf } from '../../src/core/fleet/podWatch.ts';
import { proxyAddress, runpodProxyTemplate } from '../../src/core/fleet/proxyAddress.ts';
import { rankGpus } from '../../src/core/fleet/rankGpus.ts';
import type { ReadyProgress } from '../../src/core/fleet/waitUntilReady.ts';
import { defaultWatchdog } from '../../src/core/fleet/watchdog.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import type { Fault } from '../../src/core/kernel/fault.ts';
import { gpuUtilizationPercent } from '../../src/core/runpod/pod.ts';
import type { PodStatus } from '../../src/core/runpod/pod.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import { createLedgerStore } from '../../src/core/store/ledgerStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';
import { podRows } from '../../src/ui/trees/podRows.ts';
import { openRunpodWorld } from './runpodWorld.ts';
import type { RunpodWorld } from './runpodWorld.ts';

const quiet = (): void => undefined;

describe('RunPod', () => {
  let world: RunpodWorld;
  let service: PodService;
  let signal: AbortSignal;
  const wait = { readyTimeoutMs: 5_000, onProgress: (): void => undefined };

  beforeEach(async () => {
    world = await openRunpodWorld();
    service = world.newService();
    signal = world.signal;
  });
  afterEach(() => world.close());

  async function cheapest(): Promise<DeployRequest> {
    const catalogues = [
      { cloud: 'SECURE' as const, gpus: await world.client.listGpuTypes({ cloud: 'SECURE', count: 1 }, signal) },
      { cloud: 'COMMUNITY' as const, gpus: await world.client.listGpuTypes({ cloud: 'COMMUNITY', count: 1 }, signal) },
    ];
    const { candidates } = rankGpus(catalogues, { minVramGb: 24, count: 1, maxUsdPerHourMicros: 1_000_000 });
    return {
      candidates,
      image: 'runpod/comfyui:latest',
      containerDiskGb: 30,
      storage: { kind: 'volume', sizeGb: 60, path: '/workspace' },
      watchdog: defaultWatchdog,
    };
  }

  it('should deploy pod successfully', async () => {
    const request = await cheapest();
    const { pod, url, candidate, comfyVersion } = await service.deploy(request, wait, signal);
    assert.equal(pod.status, 'RUNNING');
    assert.equal(candidate, request.candidates[0]);
    assert.equal(pod.usdPerHourMicros, candidate.usdPerHourMicros);
    assert.equal(comfyVersion, '0.33.0');
    assert.equal((await fetch(`${url}/system_stats`)).status, 200);
    assert.deepEqual([...world.records.owned], [[pod.name, pod.id]]);
  });

  it('should handle deployment errors', async () => {
    world.sim.faults.set({ failure: { kind: 'noCredit' } });
    await assert.rejects(service.deploy(await cheapest(), wait, signal), { kind: 'noCredit' });
    assert.equal(world.sim.state().pods.length, 0);
    assert.deepEqual(await world.records.open(), [], 'a refused create leaves nothing to look for');
  });

  it('should wait for pod ready state', async () => {
    const seen: ReadyProgress[] = [];
    const onProgress = (progress: ReadyProgress): void => void seen.push(progress);
    await service.deploy(await cheapest(), { ...wait, onProgress }, signal);
    const phases = [...new Set(seen.map(({ phase }) => phase))];
    // In this order; a look on a busy machine may miss a short one.
    const order: readonly ReadyProgress['phase'][] = ['allocation', 'container', 'comfyui', 'ready'];
    assert.deepEqual(
      phases,
      order.filter((phase) => phases.includes(phase)),
    );
    assert.ok(phases.length >= 3 && phases.at(-1) === 'ready', phases.join());
  });

  it('should get pod status', async () => {
    const { id } = world.sim.seedPod({ name: 'a', status: 'EXITED' });
    assert.equal((await world.client.getPod(id, signal)).status, 'EXITED');
  });

  it('should handle unknown pod ids', async () => {
    await assert.rejects(world.client.getPod('nosuchpod', signal), (error: Fault) => error.facts.status === 404);
    await assert.rejects(service.ensureReady('nosuchpod', wait, signal), { kind: 'mismatch', message: /nosuchpod/ });
  });

  it('should stop running pod', async () => {
    const { id } = world.sim.seedPod({ name: 'a' });
    assert.equal((await service.stop(id, signal))?.status, 'EXITED');
    assert.equal(world.sim.state().pods[0]?.status, 'EXITED');
  });

  it('should resume stopped pod', async () => {
    const { id } = world.sim.seedPod({ name: 'a', status: 'EXITED' });
    assert.equal(await service.ensureReady(id, wait, signal), true);
    assert.equal((await world.probe()(service.address(id), signal)).ready, true);
  });

  it('should terminate pod', async () => {
    const { id } = world.sim.seedPod({ name: 'a' });
    await service.terminate(id, signal);
    assert.equal(world.sim.state().pods[0]?.status, 'TERMINATED');
    assert.deepEqual(await world.client.listPods(signal), []);
  });

  it('should calculate GPU utilization percentage', async () => {
    world.sim.configure({ load: { gpu: 87, gpuMemory: 40, cpu: 5, memory: 10 } });
    const { id } = world.sim.seedPod({ name: 'a', gpu: { id: 'NVIDIA GeForce RTX 3090', count: 2 } });
    assert.equal(gpuUtilizationPercent(await world.client.getPod(id, signal)), 87);
    const stopped = world.sim.seedPod({ name: 'b', status: 'EXITED' });
    assert.equal(gpuUtilizationPercent(await world.client.getPod(stopped.id, signal)), undefined);
  });

  it('should calculate hourly cost', async () => {
    const { id } = world.sim.seedPod({ name: 'a', disk: 73, mounts: {} });
    const pod = await world.client.getPod(id, signal);
    assert.ok(pod.usdPerHourMicros > 0);
    assert.equal(hourlyCostMicros(pod), pod.usdPerHourMicros + 10_000, '73 GB at $0.10 a month of 730 hours');
  });

  it('should calculate video generation cost', async () => {
    const { id } = world.sim.seedPod({ name: 'a' });
    await service.refresh(signal);
    const [gpu, usdPerHourMicros] = ['RTX 3090', service.lastSeen?.pods[0]?.usdPerHourMicros ?? Number.NaN];
    const quote = (podId?: string, secondsOn: PodBackendServices['secondsOn'] = () => undefined) =>
      podBackend(world, service, podId, secondsOn).quote({ ...clip, media: 'video' });
    assert.equal(100 * quote().micros, 2_000_000, 'assumed: $0.24 an hour, 12 videos an hour');
    assert.equal(quote(id).micros, Math.round(usdPerHourMicros / 12), 'at the price of the pod');
    const measured = quote(id, (at, { workflow }) => (at === gpu && workflow === clip.workflow ? 36 : undefined));
    assert.equal(measured.micros, Math.round(usdPerHourMicros / 100));
    assert.match(measured.basis, /^36 s at .*, as measured$/);
  });

  it('should track accumulated costs', async () => {
    await world.close();
    world = await openRunpodWorld({ gpuBillsFrom: 'PROVISIONING' }, { scale: 3_600 });
    const { id } = world.sim.seedPod({ name: 'a' });
    const folder = await mkdtemp(path.join(tmpdir(), 'podrelay-costs-'));
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const file = path.join(folder, 'podrelay.db');
    const database = createDatabase({ file, steps: schemaSteps, clock: systemClock, log });
    const ledger = new Ledger(createLedgerStore(database), { ...systemClock, now: () => world.sim.state().now });
    const spentOn = async (): Promise<number> => {
      const pods = await world.client.listPods(world.signal);
      await ledger.observePods(
        pods.map((pod) => sightOf(pod, 900_000, true)),
        world.sim.state().now,
      );
      assert.ok(ledger.spending.known);
      return ledger.spending.value.pods.get(id)?.micros ?? 0;
    };
    const first = await spentOn();
    const before = world.sim.invoice();
    let measured = 0;
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 450));
      measured = (await spentOn()) - first;
    }
    const billed = world.sim.invoice().totalMicros - before.totalMicros;
    assert.ok(measured > 300_000, `2 simulated hours cost more than ${measured}`);
    assert.ok(Math.abs(measured - billed) / billed < 0.1, `measured ${measured}, billed ${billed}`);
    database.dispose();
    await rm(folder, { recursive: true });
  });

  it('should check ComfyUI health endpoint', async () => {
    assert.equal(
      `${proxyAddress(runpodProxyTemplate, 'k3v9q0zt1mwx7a', 8188)}/system_stats`,
      'https://k3v9q0zt1mwx7a-8188.proxy.runpod.net/system_stats',
    );
    const { id } = world.sim.seedPod({ name: 'a' });
    const answer = await world.probe()(service.address(id), signal);
    assert.ok(answer.ready && answer.version === '0.33.0');
    const asked = world.sim.requests.filter((request) => request.surface === 'proxy');
    assert.deepEqual(
      asked.map(({ url }) => url),
      [`/${id}-8188/system_stats`],
    );
    assert.ok(!asked.some((request) => request.carriesApiKey), 'the key never goes to a pod');
  });

  it('should detect unhealthy backends', async () => {
    const { id } = world.sim.seedPod({ name: 'a' });
    const probe = world.probe();
    for (const failure of [
      { kind: 'status', status: 502, effect: 'before' },
      { kind: 'html' },
      { kind: 'truncatedJson' },
      { kind: 'reset', effect: 'before' },
    ] as const) {
      world.sim.faults.set({ failure, on: ['proxy'], times: 1 });
      assert.equal((await probe(service.address(id), signal)).ready, false, failure.kind);
    }
    assert.equal((await probe(service.address(id), signal)).ready, true);
  });

  it('should handle network time-outs', async () => {
    const { id } = world.sim.seedPod({ name: 'a' });
    world.sim.faults.set({ failure: { kind: 'hang', effect: 'before' } });
    const answer = await world.probe(100)(service.address(id), signal);
    assert.ok(!answer.ready && answer.why.kind === 'timeout');
    const hasty = world.newClient({ timeoutMs: 100, retries: 0 });
    await assert.rejects(hasty.listPods(signal), { kind: 'timeout' });
  });

  it('should list all pods', async () => {
    for (const name of ['a', 'b', 'c']) world.sim.seedPod({ name });
    const pods = await world.newService({}, world.newClient({ pageSize: 1 })).refresh(signal);
    assert.deepEqual(pods.map(({ name }) => name).sort(), ['a', 'b', 'c']);
  });

  it('should filter by status', async () => {
    world.sim.seedPod({ name: 'a' });
    world.sim.seedPod({ name: 'b', status: 'EXITED' });
    await service.refresh(signal);
    const shown = (filter: readonly PodStatus[]): readonly string[] =>
      podRows({
        pods: service.pods,
        lastSeen: service.lastSeen,
        filter,
        hasKey: true,
        configured: undefined,
        useAll: true,
        spent: undefined,
        groupBy: 'none',
        address: proxyAddress.bind(undefined, runpodProxyTemplate),
        nowMs: Date.now(),
      }).map(({ label }) => label);
    assert.deepEqual(shown(['RUNNING']), ['a']);
    assert.deepEqual(shown(['EXITED']), ['b', '1 running pod is hidden']);
    assert.deepEqual(shown([]), ['a', 'b']);
  });
});

const clip: JobRequest = { id: 'clip', label: 'clip', workflow: {}, media: 'video', localOnly: false };

function podBackend(
  world: RunpodWorld,
  pods: PodService,
  podId: string | undefined,
  secondsOn: NonNullable<PodBackendServices['secondsOn']>,
): Backend {
  return createPodBackend({
    ...{ id: 'cloud', pods, secondsOn, clock: systemClock },
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    podId: () => podId,
    comfyAt: () => assert.fail('Nothing is asked'),
    newId: () => '',
    enabled: () => true,
    hasKey: () => true,
    autoStart: () => true,
    comesByItself: () => false,
    readyTimeoutMs: () => 1_000,
    checkpoint: () => undefined,
    listed: (signal) => world.client.listPods(signal),
    use: () => ({ dispose: quiet }),
    isRetired: () => false,
  });
}
