// The account's endpoints as the Pods view sees and changes them, over the simulator's sockets.
import assert from 'node:assert/strict';
import { Fault } from '../../src/core/kernel/fault.ts';
import { EndpointService } from '../../src/core/serverless/endpointService.ts';
import type { EndpointServiceOptions, EndpointStatus } from '../../src/core/serverless/endpointService.ts';
import { billedWorkers } from '../../src/core/serverless/workerCost.ts';
import { until } from './jobWindow.ts';
import { body, openServerlessWorld } from './serverlessWorld.ts';
import type { ServerlessWorld } from './serverlessWorld.ts';

describe('endpoint service', function () {
  this.timeout(30_000);
  let world: ServerlessWorld;
  let service: EndpointService;

  beforeEach(async () => {
    world = await openServerlessWorld();
    service = open();
  });
  afterEach(async () => {
    service.dispose();
    await world.close();
  });

  const open = (change: Partial<EndpointServiceOptions> = {}): EndpointService => {
    const { clock, log } = world.base;
    return new EndpointService({
      endpoints: world.endpoints,
      jobs: world.jobs,
      clock,
      log,
      pollMs: 20,
      adoptWithinMs: 300,
      ...change,
    });
  };
  const asked = (operation: string): number =>
    world.sim.runpod.requests.filter((request) => request.operation === operation).length;
  const only = (): EndpointStatus => {
    const [status, ...more] = service.endpoints.known ? service.endpoints.value : [];
    assert.ok(status !== undefined && more.length === 0);
    return status;
  };
  const wish = { pools: ['ADA_24'], image: 'runpod/worker-comfyui:5.8.5-sdxl', maxWorkers: 2 };

  it('knows nothing, and asks nobody, before it is told to', () => {
    assert.equal(service.endpoints.known, false);
    assert.equal(service.lastSeen, undefined);
    assert.equal(world.sim.runpod.requests.length, 0);
  });

  it('asks an account without endpoints for the list alone', async () => {
    assert.deepEqual(await service.refresh(world.signal), []);
    assert.deepEqual(
      world.sim.runpod.requests.map(({ operation }) => operation),
      ['listEndpoints'],
    );
  });

  it('shows endpoints with workers, queue and prices, which are asked for once', async () => {
    const id = world.endpoint({ workers: { min: 1, max: 2 } });
    await world.jobs.run(id, body(), world.signal);
    await Promise.all([service.refresh(world.signal), service.refresh(world.signal)]);
    assert.equal(asked('listEndpoints'), 1);
    const { endpoint, workers, health } = only();
    assert.equal(endpoint.id, id);
    assert.ok(workers.known && workers.value.length >= 1);
    assert.ok(health.known && typeof health.value.jobs.inQueue === 'number');
    assert.ok(service.prices.known && service.prices.value.some(({ pool }) => pool === 'ADA_24'));
    await service.refresh(world.signal);
    assert.equal(asked('listGpuTypes'), 1);
  });

  it('keeps what it saw when the list fails, and says why it is not known', async () => {
    const id = world.endpoint();
    await service.refresh(world.signal);
    world.key = 'rpa_wrong';
    await assert.rejects(service.refresh(world.signal), (fault: Fault) => fault.kind === 'unauthorized');
    assert.ok(!service.endpoints.known && service.endpoints.why?.kind === 'unauthorized');
    assert.deepEqual(
      service.lastSeen?.endpoints.map(({ endpoint }) => endpoint.id),
      [id],
    );
  });

  it('shows an endpoint whose queue does not answer, as not known', async () => {
    world.endpoint();
    service.dispose();
    const silent = world.newJobs({ baseUrl: 'http://127.0.0.1:9/v2', retries: 0, timeoutMs: 500 });
    service = open({ jobs: silent });
    await service.refresh(world.signal);
    const { workers, health } = only();
    assert.ok(workers.known);
    assert.ok(!health.known && health.why?.kind === 'unreachable');
  });

  it('asks for the details of a few at a time, those seen longest ago first', async () => {
    for (let i = 0; i < 5; i++) world.endpoint();
    service.dispose();
    service = open({ mostPerRefresh: 2 });
    const seen = (): number => service.lastSeen?.endpoints.filter(({ workers }) => workers.known).length ?? 0;
    await service.refresh(world.signal);
    assert.equal(seen(), 2);
    await service.refresh(world.signal);
    assert.equal(seen(), 4);
    await service.refresh(world.signal);
    assert.equal(seen(), 5);
  });

  it('watches workers while a job is there and until they are gone, and then asks nobody', async () => {
    const id = world.endpoint({ workers: { min: 0, max: 1, idleTimeout: 60 } });
    service.dispose();
    service = open({ watchEveryMs: 20 });
    const up = (): number => billedWorkers(service.lastSeen?.endpoints ?? [], undefined).length;
    await world.jobs.run(id, body(), world.signal);
    service.noteJobs([{ backend: `endpoint:${id}` }, { backend: 'local' }, { backend: undefined }]);
    await until('a worker is up', () => up() === 1);
    assert.ok(service.prices.known);
    service.noteJobs([]);
    await until('it has gone', () => up() === 0 && world.sim.runpod.serverless.state()[0]!.workers.length === 0);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const before = world.sim.runpod.requests.length;
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.equal(world.sim.runpod.requests.length, before);
  });

  it('creates an endpoint without workers, which costs nothing yet', async () => {
    let changes = 0;
    service.onDidChange(() => (changes += 1));
    await service.refresh(world.signal);
    const endpoint = await service.create(wish, world.signal);
    assert.match(endpoint.name, /^podrelay-/);
    assert.deepEqual([endpoint.minWorkers, endpoint.maxWorkers, endpoint.flashboot], [0, 2, true]);
    assert.deepEqual(endpoint.gpuPools, ['ADA_24']);
    assert.equal(only().endpoint.id, endpoint.id);
    assert.ok(changes >= 2);
  });

  it('finds the endpoint of a create whose answer was lost, and makes no second one', async () => {
    world.sim.runpod.faults.set({
      failure: { kind: 'reset', effect: 'after' },
      on: ['createEndpoint'],
      times: 1,
    });
    const endpoint = await service.create(wish, world.signal);
    assert.deepEqual(
      world.sim.runpod.serverless.state().map(({ id }) => id),
      [endpoint.id],
    );
  });

  it('says so when a lost create is nowhere to be seen', async () => {
    world.sim.runpod.faults.set({
      failure: { kind: 'reset', effect: 'before' },
      on: ['createEndpoint'],
      times: 1,
    });
    await assert.rejects(service.create(wish, world.signal), (fault: Fault) => {
      assert.equal(fault.facts.delivered, 'maybe');
      assert.match(fault.facts.nextStep ?? '', /podrelay-\w+ all the same/);
      return true;
    });
    assert.equal(asked('createEndpoint'), 1);
  });

  it('stops an endpoint by its maximum of workers, and its minimum with it', async () => {
    const id = world.endpoint({ workers: { min: 1, max: 2 } });
    const stopped = await service.setMaxWorkers(id, 0, world.signal);
    assert.deepEqual([stopped.minWorkers, stopped.maxWorkers], [0, 0]);
    const again = await service.setMaxWorkers(id, 3, world.signal);
    assert.deepEqual([again.minWorkers, again.maxWorkers], [0, 3]);
  });

  it('keeps workers up when it is told to, and the maximum gives way', async () => {
    const id = world.endpoint({ workers: { min: 0, max: 2, idleTimeout: 5 } });
    const kept = await service.setMinWorkers(id, 1, world.signal);
    assert.deepEqual([kept.minWorkers, kept.maxWorkers], [1, 2]);
    const more = await service.setMinWorkers(id, 3, world.signal);
    assert.deepEqual([more.minWorkers, more.maxWorkers], [3, 3]);
    assert.equal((await service.setMinWorkers(id, 0, world.signal)).minWorkers, 0);
  });

  it('takes a change whose answer was lost for done only when it is', async () => {
    const id = world.endpoint({ workers: { min: 0, max: 2 } });
    const lose = (effect: 'before' | 'after'): void =>
      void world.sim.runpod.faults.set({ failure: { kind: 'reset', effect }, on: ['updateEndpoint'], times: 1 });
    lose('after');
    assert.equal((await service.setMaxWorkers(id, 1, world.signal)).maxWorkers, 1);
    lose('before');
    await assert.rejects(service.setMaxWorkers(id, 4, world.signal), Fault);
    assert.equal((await world.endpoints.get(id, world.signal)).maxWorkers, 1);
  });

  it('empties a queue and tells how many jobs were in it', async () => {
    const id = world.endpoint({ workers: { min: 0, max: 0 } });
    await service.refresh(world.signal);
    for (let i = 0; i < 3; i++) await world.jobs.run(id, body(), world.signal);
    const { health } = await service.look(id, world.signal);
    assert.equal(health.known && health.value.jobs.inQueue, 3);
    assert.equal(await service.purgeQueue(id, world.signal), 3);
    const after = only().health;
    assert.equal(after.known && after.value.jobs.inQueue, 0);
  });

  it('deletes an endpoint, and one that is gone already', async () => {
    const id = world.endpoint();
    await service.refresh(world.signal);
    await service.delete(id, world.signal);
    assert.ok(service.endpoints.known && service.endpoints.value.length === 0);
    await service.delete(id, world.signal);
  });

  it('does not show what was deleted while it was being listed', async () => {
    const id = world.endpoint();
    await service.refresh(world.signal);
    const refreshing = service.refresh(world.signal);
    await service.delete(id, world.signal);
    await refreshing;
    assert.ok(service.endpoints.known && service.endpoints.value.length === 0);
  });
});
