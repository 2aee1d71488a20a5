// The behaviours of the backends that the project was asked for, each under the name it was asked by.
import assert from 'node:assert/strict';
import type { Backend, JobRequest, Tier } from '../../src/core/backends/backend.ts';
import { AllBackendsFailed } from '../../src/core/backends/backendManager.ts';
import { createComfyProbe } from '../../src/core/fleet/comfyProbe.ts';
import { createDispatcher } from '../../src/core/http/dispatcher.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { readSettings } from '../../src/core/settings.ts';
import type { Settings } from '../../src/core/settings.ts';
import { readHostSettings } from '../../src/host/readHostSettings.ts';
import { job, openWorld, samplerWorkflow } from './world.ts';
import type { World } from './world.ts';

describe('Backend manager', () => {
  let world: World;
  beforeEach(async () => {
    world = await openWorld();
    world.podId = world.sim.runpod.seedPod({ name: 'p' }).id;
    set({ 'gemini.fallback': 'always' });
  });
  afterEach(() => world.close());

  const quiet = (): void => undefined;
  const anyJob = { localOnly: false };
  const set = (change: Partial<Settings>): void => void (world.settings = { ...world.settings, ...change });
  const backend = (id: Tier): Backend =>
    world.core.backends.statuses().find((status) => status.backend.id === id)!.backend;
  const check = (id: Tier) => world.core.backends.check(id, world.signal);
  const selectAfterChecks = async (): Promise<string | undefined> => {
    await world.core.backends.checkAll(world.signal);
    return world.core.backends.selected();
  };
  /** An operation that fails on the named backends in a way that another may not, and says where it ran. */
  const execute = (failingOn: readonly string[] = []) =>
    world.core.backends.executeWithFallback(
      anyJob,
      async ({ id }, signal) => {
        // A real request that the simulator breaks off: no fault of our own making.
        if (failingOn.includes(id)) await breakOff(world, signal);
        return `made by ${id}`;
      },
      world.signal,
    );
  /** It answers, but not as ComfyUI does: unhealthy at once, while its breaker waits for a second time. */
  const garbleLocal = async (): Promise<void> => {
    await world.sim.setLocalOpen(true);
    world.core.backends.reset('local');
    world.sim.local.control.faults = { html200: true };
  };
  const doorOf = (id: Tier) => world.core.backends.statuses().find((status) => status.backend.id === id)?.breaker.is;
  const breakCloud = (kind: 'revokedKey' | 'apiDown' | 'html' = 'revokedKey'): void =>
    void world.sim.runpod.faults.set({ failure: { kind } });
  const breakLocal = (): Promise<void> => world.sim.setLocalOpen(false);

  it('check local health', async () => {
    const health = await check('local');
    assert.equal(health.state, 'healthy');
    assert.equal(health.version, '0.33.0');
    assert.equal(health.gpu, 'RTX 3060');
    assert.equal(health.queueLength, 0);
    assert.ok(health.latencyMs !== undefined);
  });

  it('check cloud health', async () => {
    assert.equal((await check('cloud')).state, 'healthy');
    assert.equal((await check('cloud')).gpu, 'RTX 3090');
    world.podId = world.sim.runpod.seedPod({ name: 'q', status: 'EXITED' }).id;
    assert.equal((await check('cloud')).state, 'stopped', 'and a check starts nothing');
    assert.equal(world.sim.runpod.state().pods.find(({ id }) => id === world.podId)?.status, 'EXITED');
  });

  it('check gemini health', async () => {
    assert.equal((await check('gemini')).state, 'healthy');
    world.keys.set('geminiApiKey', 'AQ.not-the-key');
    world.keysChanged('geminiApiKey');
    const refused = await check('gemini');
    assert.equal(refused.state, 'unhealthy');
    assert.equal(refused.fault?.kind, 'unauthorized');
  });

  it('handle unhealthy local', async () => {
    await breakLocal();
    const health = await check('local');
    assert.equal(health.state, 'unhealthy');
    assert.equal(health.why, 'Connection refused');
    const { refused, use } = world.core.backends.route(false);
    assert.deepEqual(refused.find(({ id }) => id === 'local')?.why, 'Connection refused');
    assert.ok(!use.includes('local'), 'a backend that is not healthy is not tried');
    await garbleLocal();
    assert.equal((await check('local')).state, 'unhealthy');
    assert.deepEqual(doorOf('local'), 'closed');
    assert.deepEqual(world.core.backends.route(false).use, ['cloud', 'gemini'], 'though its door is open still');
  });

  it('handle network errors', async () => {
    for (const [faults, kind] of [
      [{ resetMidBody: true }, 'unreachable'],
      [{ truncateJson: true }, 'protocol'],
      [{ html200: true }, 'protocol'],
      [{ httpError: { status: 502, body: 'Bad gateway', contentType: 'text/plain' } }, 'unavailable'],
    ] as const) {
      world.sim.local.control.faults = faults;
      const health = await check('local');
      assert.equal(health.state, 'unhealthy', kind);
      assert.equal(health.fault?.kind, kind);
    }
    world.sim.local.control.faults = {};
    assert.equal((await check('local')).state, 'healthy');
  });

  it('a health check ends after 5 s', async function () {
    this.timeout(10_000);
    world.sim.local.control.faults = { hang: true };
    world.sim.gemini.faults.script = [{ on: 'models.get', effect: { do: 'hang' }, times: 9 }];
    const transport = createDispatcher({ proxyUrl: undefined, noProxy: [], strictTls: true });
    const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const ask = createComfyProbe({
      transport: () => Promise.resolve(transport),
      clock: systemClock,
      log,
      random: Math.random,
      userAgent: 'PodRelay/test',
    });
    const booting = async () => {
      const answer = await ask(world.sim.addresses.localComfyUrl, world.signal);
      return answer.ready ? undefined : answer.why;
    };
    const startedAt = performance.now();
    const checks = [async () => (await check('local')).fault, async () => (await check('gemini')).fault, booting];
    const ends = await Promise.all(
      checks.map(async (one) => [(await one())?.kind, Math.round((performance.now() - startedAt) / 1_000)]),
    );
    await transport.close();
    for (const [kind, seconds] of ends) assert.deepEqual([kind, seconds], ['timeout', 5]);
  });

  it('a health check that several wait for does not end with the first of them', async () => {
    world.sim.local.control.faults = { slowMs: 60_000 };
    const stop = new AbortController();
    const first = world.core.backends.check('local', stop.signal);
    const second = world.core.backends.checkAll(world.signal, 'local');
    stop.abort(new Fault('cancelled', 'Cancelled'));
    await assert.rejects(first, { kind: 'cancelled' });
    const [local] = await second;
    assert.ok(local?.health.known && local.health.value.state === 'healthy');
    assert.equal(world.sim.local.requests.filter(({ path }) => path.endsWith('/system_stats')).length, 1);
  });

  it('select local when healthy', async () => {
    assert.equal(await selectAfterChecks(), 'local');
  });

  it('fall back to cloud when local fails', async () => {
    await garbleLocal();
    assert.equal(await selectAfterChecks(), 'cloud', 'by its health alone');
    assert.equal(doorOf('local'), 'closed');
    await breakLocal();
    assert.equal(await selectAfterChecks(), 'cloud');
  });

  it('fall back to gemini when all others fail', async () => {
    await garbleLocal();
    breakCloud('html');
    assert.equal(await selectAfterChecks(), 'gemini', 'by their health alone');
    assert.deepEqual([doorOf('local'), doorOf('cloud')], ['closed', 'closed']);
    await breakLocal();
    breakCloud();
    assert.equal(await selectAfterChecks(), 'gemini');
  });

  it('respect forced selection', async () => {
    set({ 'routing.forced': 'cloud' });
    assert.equal(await selectAfterChecks(), 'cloud');
    await assert.rejects(execute(['cloud']), (error) => {
      assert.ok(error instanceof AllBackendsFailed);
      assert.deepEqual(
        error.attempts.map((attempt) => attempt.backend),
        ['cloud'],
        'without fallback, though local is healthy',
      );
      return true;
    });
  });

  it('use preferred backend if set and healthy', async () => {
    set({ 'routing.preferred': 'cloud' });
    assert.equal(await selectAfterChecks(), 'cloud');
    const running = world.podId;
    world.podId = world.sim.runpod.seedPod({ name: 'q', status: 'EXITED' }).id;
    assert.equal(await selectAfterChecks(), 'local', 'a stopped pod is not healthy');
    world.podId = running;
    breakCloud();
    assert.equal(await selectAfterChecks(), 'local');
  });

  it('execute with local', async () => {
    const execution = await execute();
    assert.equal(execution.value, 'made by local');
    assert.equal(execution.backend, 'local');
    assert.ok(execution.ms >= 0);
    assert.deepEqual(
      execution.attempts.map(({ backend: id, outcome }) => `${id} ${outcome}`),
      ['local done'],
    );
  });

  it('execute falls back to cloud when the operation fails on a healthy local', async () => {
    assert.equal((await check('local')).state, 'healthy');
    const execution = await execute(['local']);
    assert.equal(execution.value, 'made by cloud');
    assert.deepEqual(
      execution.attempts.map(({ backend: id, outcome, faultKind }) => [id, outcome, faultKind]),
      [
        ['local', 'failed', 'unreachable'],
        ['cloud', 'done', undefined],
      ],
    );
  });

  it('execute falls back to cloud: a whole job, to its file', async () => {
    await check('local');
    world.sim.local.control.faults = {
      httpError: { path: '/prompt', method: 'POST', status: 503, body: 'busy', contentType: 'text/plain' },
    };
    const outcome = await world.core.jobs.run(job(samplerWorkflow()), quiet, world.signal);
    assert.equal(outcome.backend, 'cloud');
    assert.equal(outcome.outputs.length, 1);
    assert.match(outcome.attempts[0]?.why ?? '', /503/);
  });

  it('execute falls back to gemini when local and cloud fail', async () => {
    const execution = await execute(['local', 'cloud']);
    assert.equal(execution.value, 'made by gemini');
    assert.deepEqual(
      execution.attempts.map(({ backend: id, outcome }) => `${id} ${outcome}`),
      ['local failed', 'cloud failed', 'gemini done'],
    );
  });

  it('execute falls back to gemini when local and cloud fail: a whole job, to its file', async () => {
    await breakLocal();
    breakCloud();
    const outcome = await world.core.jobs.run(job(samplerWorkflow()), quiet, world.signal);
    assert.equal(outcome.backend, 'gemini');
    assert.equal(outcome.outputs.length, 1);
    assert.ok(outcome.micros > 0);
    assert.ok(outcome.dropped.length > 0, 'and says what it could not honour');
  });

  it('execute throws when all fail, naming each reason', async () => {
    await breakLocal();
    breakCloud('apiDown');
    world.sim.gemini.faults.script = [{ on: 'image', effect: { do: 'reply', status: 503, text: 'overloaded' } }];
    await assert.rejects(world.core.jobs.run(job(samplerWorkflow()), quiet, world.signal), (error) => {
      assert.ok(error instanceof AllBackendsFailed);
      assert.match(error.message, /local: Connection refused/);
      assert.match(error.message, /cloud: Connection lost/);
      assert.match(error.message, /gemini: .*(503|overloaded)/i);
      return true;
    });
  });

  it('cloud auto-start: true when running', async () => {
    const startedAt = performance.now();
    assert.equal(await ensureReady(), true);
    assert.ok(performance.now() - startedAt < 1_000, 'at once');
  });

  it('cloud auto-start: resumes a stopped pod', async () => {
    world.podId = world.sim.runpod.seedPod({ name: 'q', status: 'EXITED' }).id;
    assert.equal(await ensureReady(), true);
    assert.equal(world.sim.runpod.state().pods.find(({ id }) => id === world.podId)?.status, 'RUNNING');
  });

  it('cloud auto-start: resumes a stopped pod for a job that only it can run', async () => {
    world.podId = world.sim.runpod.seedPod({ name: 'q', status: 'EXITED' }).id;
    await breakLocal();
    const seen: string[] = [];
    const outcome = await world.core.jobs.run(job(samplerWorkflow()), ({ phase }) => seen.push(phase), world.signal);
    assert.equal(outcome.backend, 'cloud');
    assert.ok(seen.includes('Waiting for ComfyUI'), 'and shows how far it is');
  });

  it('cloud auto-start: false when no pod id is configured', async () => {
    world.podId = undefined;
    assert.equal(await ensureReady(), false);
    assert.deepEqual(backend('cloud').ready(), { ok: false, why: 'No pod is configured' });
    world.settings = { ...world.settings, 'fleet.maxPods': 2 };
    assert.deepEqual(backend('cloud').ready(), { ok: false, why: 'None runs; queued jobs start one' });
  });

  it('cost estimate for local', () => {
    assert.equal(backend('local').quote(video).micros, 0);
  });

  it('cost estimate for cloud', () => {
    assert.equal(backend('cloud').quote(video).micros, 20_000);
  });

  it('cost estimate for cloud: of a workflow that has run, by the time that it took and the price of the pod', async () => {
    set({ 'routing.forced': 'cloud' });
    const { ranMs, gpu } = await world.core.jobs.run(job(samplerWorkflow()), quiet, world.signal);
    const usdPerHourMicros = world.core.pods.lastSeen?.pods[0]?.usdPerHourMicros ?? Number.NaN;
    const { micros, basis } = backend('cloud').quote(picture);
    assert.equal(gpu, 'RTX 3090');
    assert.equal(micros, Math.round((usdPerHourMicros * ranMs!) / 3_600_000));
    assert.match(basis, / s at \$0\.\d\d\/h, as measured$/);
  });

  it('cost estimate for gemini', () => {
    const { micros, basis } = backend('gemini').quote(picture);
    assert.equal(micros, 33_600 + 6_750 + 75, '1,120 tokens at $30 a million, thoughts at $7.50, a prompt at $1.50');
    assert.match(basis, /1 × picture at 1K/);
    assert.equal(backend('gemini').quote(video).micros, 506_800, '5 s at 720p');
  });

  it('default priority order', () => {
    assert.deepEqual(readSettings(() => undefined).settings['routing.priority'], ['local', 'cloud', 'gemini']);
    assert.deepEqual(world.core.backends.route(false).use, ['local', 'cloud', 'gemini']);
  });

  it('custom priority from the environment', async () => {
    const folder = (key: string) => ({ 'routing.priority': ['cloud', 'local'] })[key];
    world.settings = readHostSettings([folder], { PODRELAY_PRIORITY: 'Gemini, local,nonsense' }).settings;
    assert.deepEqual(world.core.backends.route(false).use, ['gemini', 'local']);
    assert.equal(await selectAfterChecks(), 'gemini');
    world.settings = readHostSettings([folder], {}).settings;
    assert.equal(await selectAfterChecks(), 'cloud');
  });

  it('statuses of all backends', async () => {
    const before = world.core.backends.statuses();
    assert.deepEqual(
      before.map((status) => [status.backend.id, status.health.known]),
      [
        ['local', false],
        ['cloud', false],
        ['gemini', false],
      ],
      'unknown is not healthy, and not unhealthy',
    );
    await breakLocal();
    const after = await world.core.backends.checkAll(world.signal);
    assert.deepEqual(
      after.map(({ backend: { id }, health }) => `${id} ${health.known ? health.value.state : 'unknown'}`),
      ['local unhealthy', 'cloud healthy', 'gemini healthy'],
    );
  });

  const ensureReady = (): Promise<boolean> =>
    world.core.pods.ensureReady(world.podId, { readyTimeoutMs: 10_000, onProgress: quiet }, world.signal);
});

const picture: JobRequest = job(samplerWorkflow());
const video: JobRequest = job(samplerWorkflow(), { media: 'video' });

/** A request that the local ComfyUI drops in the middle of its answer. */
async function breakOff({ sim, core }: World, signal: AbortSignal): Promise<void> {
  sim.local.control.faults = { resetMidBody: { path: '/object_info' } };
  const local = core.backends.statuses().find(({ backend }) => backend.id === 'local')!.backend;
  await local.refusals(picture, signal);
}
