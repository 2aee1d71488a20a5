import assert from 'node:assert/strict';
import { rowTokens } from '../../src/contract.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import type { Endpoint, GpuPrice } from '../../src/core/serverless/endpoint.ts';
import { billedWorkers } from '../../src/core/serverless/workerCost.ts';
import type { EndpointStatus } from '../../src/core/serverless/endpointService.ts';
import type { EndpointHealth } from '../../src/core/serverless/jobClient.ts';
import { endpointRows } from '../../src/ui/trees/endpointRows.ts';
import type { EndpointScene } from '../../src/ui/trees/endpointScene.ts';
import { formatUsdPerSecond } from '../../src/ui/trees/endpointText.ts';
import type { Row } from '../../src/ui/trees/row.ts';

const nowMs = 1_800_000_000_000;
const prices: readonly GpuPrice[] = [
  { gpuId: 'NVIDIA GeForce RTX 4090', name: 'RTX 4090', pool: 'ADA_24', usdPerHourMicros: 1_116_000 },
];
const endpoint: Endpoint = {
  id: 'ep1',
  name: 'comfy',
  kind: 'queue',
  image: 'runpod/worker-comfyui:5.8.5-sdxl',
  gpuPools: ['ADA_24'],
  excludedGpus: [],
  gpuCount: 1,
  minWorkers: 0,
  maxWorkers: 3,
  idleSeconds: 10,
  timeoutMs: 600_000,
  flashboot: true,
  hasVolume: false,
  createdAtMs: nowMs - 1_000,
};

function health(jobs: Partial<EndpointHealth['jobs']>, workers: Partial<EndpointHealth['workers']>): EndpointHealth {
  const none = {
    idle: undefined,
    running: undefined,
    initializing: undefined,
    ready: undefined,
    throttled: undefined,
    unhealthy: undefined,
  };
  return { jobs: { inQueue: undefined, inProgress: undefined, ...jobs }, workers: { ...none, ...workers } };
}

const atWork = {
  id: 'w1',
  status: 'running',
  gpuId: 'NVIDIA GeForce RTX 4090',
  gpuCount: 1,
  uptimeSeconds: 75,
} as const;

function status(change: Partial<EndpointStatus> = {}, of: Partial<Endpoint> = {}): EndpointStatus {
  return {
    endpoint: { ...endpoint, ...of },
    workers: known([atWork], nowMs),
    health: known(health({ inQueue: 2, inProgress: 1 }, { running: 1, idle: 0 }), nowMs),
    ...change,
  };
}

function scene(all: readonly EndpointStatus[], change: Partial<EndpointScene> = {}): EndpointScene {
  return {
    endpoints: known(all, nowMs),
    lastSeen: { endpoints: all, at: nowMs },
    prices,
    hasKey: true,
    used: [],
    nowMs,
    ...change,
  };
}

const members = (all: readonly EndpointStatus[], change: Partial<EndpointScene> = {}): readonly Row[] =>
  endpointRows(scene(all, change))[0]?.children ?? [];
const rowOf = (one: EndpointStatus, change: Partial<EndpointScene> = {}): Row => members([one], change)[0]!;
const details = (one: EndpointStatus, change: Partial<EndpointScene> = {}) =>
  new Map(rowOf(one, change).children!.map(({ label, description }) => [label, description]));
const asUnknown = { workers: unknown(nowMs), health: unknown(nowMs) };

describe('endpoint rows', () => {
  it('shows workers, queue and price', () => {
    assert.equal(rowOf(status()).description, '1 running · 0 idle · 2 queued · $0.00031/s');
    const [group] = endpointRows(scene([status()]));
    assert.deepEqual([group?.label, group?.description, group?.open], ['Serverless', '1', true]);
  });

  it('tells other states of workers only when there are such', () => {
    const workers = known([{ ...atWork, status: 'throttled', gpuId: undefined } as const], nowMs);
    assert.match(rowOf(status({ workers })).description ?? '', /^0 running · 0 idle · 1 waiting for a GPU · /);
  });

  it('shows a dash for what is not known, never a 0', () => {
    const silent = status(asUnknown);
    assert.equal(rowOf(silent, { prices: undefined }).description, 'workers – · – queued · price –');
    const shown = details(silent, { prices: undefined });
    for (const label of ['Status', 'Workers', 'Price of a worker']) assert.equal(shown.get(label), '–', label);
    assert.equal(shown.get('Queue'), '– waiting · – running');
    assert.equal(details(status({}, { idleSeconds: undefined })).get('Idle timeout'), '–');
  });

  it("takes the queue's counts where the workers are not told", () => {
    assert.match(rowOf(status({ workers: unknown(nowMs) })).description ?? '', /^1 running · 0 idle/);
  });

  it('says why something is not known', () => {
    const why = new Fault('timeout', 'No answer within 30 s');
    assert.equal(
      details(status({ ...asUnknown, health: unknown(nowMs, why) })).get('Status'),
      '– (No answer within 30 s)',
    );
  });

  it('calls an endpoint without workers stopped', () => {
    const stopped = status({ workers: known([], nowMs) }, { maxWorkers: 0 });
    assert.equal(rowOf(stopped).description, 'stopped · 2 queued');
    assert.match(details(stopped).get('Workers from – to') ?? '', /runs none/);
    assert.equal(rowOf(stopped).icon?.id, 'circle-slash');
  });

  it('tells what minimum workers cost without jobs', () => {
    assert.match(details(status({}, { minWorkers: 2 })).get('Price of a worker') ?? '', /\$2\.23\/h even without jobs/);
    assert.match(rowOf(status({}, { minWorkers: 2 })).description ?? '', /^\$2\.23\/h even without jobs · /);
    const unpriced = rowOf(status({}, { minWorkers: 1 }), { prices: undefined });
    assert.match(unpriced.description ?? '', /^an unknown price even without jobs · /);
    assert.equal(details(status()).get('Price of a worker'), '$0.00031/s ($1.12/h) while it is up');
  });

  it('says up to, where cheaper GPUs may come', () => {
    const cheaper = { gpuId: 'L4', name: 'L4', pool: 'ADA_24', usdPerHourMicros: 684_000 };
    const row = rowOf(status(), { prices: [...prices, cheaper] });
    assert.match(row.description ?? '', /up to \$0\.00031\/s$/);
    const gpus = row.children?.find(({ label }) => label === 'GPU types');
    assert.deepEqual(
      gpus?.children?.map(({ label, description }) => [label, description]),
      [
        ['RTX 4090', '$0.00031/s ($1.12/h)'],
        ['L4', '$0.00019/s ($0.68/h)'],
      ],
    );
  });

  it('lists the workers with their states', () => {
    const row = rowOf(status()).children?.find(({ label }) => label === 'Workers');
    assert.deepEqual(
      row?.children?.map(({ label, description }) => [label, description]),
      [['w1', 'running a job · RTX 4090 · $1.12/h · up 1 m']],
    );
  });

  it('marks those that get jobs, puts them first, and offers the fitting action', () => {
    const [first, second] = members([status(), status({}, { id: 'ep2', name: 'two' })], { used: ['ep2'] });
    assert.deepEqual([first?.label, first?.mark?.badge, second?.mark], ['two', '★', undefined]);
    assert.match(first?.context ?? '', /;used;/);
    assert.match(second?.context ?? '', /;unused;/);
    assert.equal(endpointRows(scene([status()], { used: ['ep1'] }))[0]?.description, '1 · 1 for jobs');
  });

  it('offers no load balancer for jobs', () => {
    assert.doesNotMatch(rowOf(status({}, { kind: 'loadBalancer' })).context ?? '', /used;/);
  });

  it('offers to empty a queue only where jobs wait', () => {
    assert.match(rowOf(status()).context ?? '', /;waiting;/);
    const empty = status({ health: known(health({ inQueue: 0 }, {}), nowMs) });
    assert.doesNotMatch(rowOf(empty).context ?? '', /;waiting;/);
    assert.doesNotMatch(rowOf(status(asUnknown)).context ?? '', /;waiting;/);
  });

  it('shows a configured endpoint that is not in the account', () => {
    const [row] = members([], { used: ['gone'] });
    assert.deepEqual([row?.label, row?.icon?.id], ['gone', 'warning']);
    assert.match(row?.context ?? '', /;used;/);
  });

  it('is not there without a key, without endpoints, or before anything is known', () => {
    assert.deepEqual(endpointRows(scene([status()], { hasKey: false })), []);
    assert.deepEqual(endpointRows(scene([])), []);
    assert.deepEqual(endpointRows(scene([], { endpoints: unknown(nowMs), lastSeen: undefined })), []);
  });

  it('tells a failed load with a way to try again, above what was last seen', () => {
    const endpoints = unknown(nowMs, new Fault('unavailable', 'RunPod answers 502'));
    const lastSeen = { endpoints: [status()], at: nowMs - 60_000 };
    const [failed, retry, row] = members([], { endpoints, lastSeen });
    assert.equal(failed?.description, 'RunPod answers 502');
    assert.equal(retry?.command?.id, 'podrelay.pods.refresh');
    assert.equal(row?.faded, true);
    assert.match(row?.description ?? '', /^seen 60 s ago · /);
    const [group] = endpointRows(scene([], { endpoints, lastSeen: undefined }));
    assert.equal(group?.description, '–');
  });

  it('does not bother who has no endpoints with a key that may not see any', () => {
    const endpoints = unknown(nowMs, new Fault('unauthorized', 'access denied'));
    assert.deepEqual(endpointRows(scene([], { endpoints, lastSeen: undefined })), []);
    assert.equal(members([], { endpoints, lastSeen: undefined, used: ['ep1'] })[0]?.label, 'Endpoints not loaded');
  });

  it('has unique ids, and tokens that menus know', () => {
    const all = [status(), status({}, { id: 'ep2' })];
    const ids: string[] = [];
    const walk = (rows: readonly Row[]): void => {
      for (const { id, context, children } of rows) {
        ids.push(id);
        for (const token of context?.split(';').filter((one) => one !== '') ?? []) {
          assert.ok(rowTokens.includes(token as never), token);
        }
        walk(children ?? []);
      }
    };
    walk(endpointRows(scene(all)));
    assert.equal(new Set(ids).size, ids.length);
  });

  it('lets no name of an endpoint into the Markdown of its tooltip', () => {
    const row = rowOf(status({}, { name: '[x](command:evil)' }));
    assert.doesNotMatch(row.tooltip ?? '', /\[x\]\(command/);
  });
});

describe('workers that cost money', () => {
  const worker = (id: string, change: object = {}) => ({ ...atWork, id, ...change });
  const seen = (workers: readonly object[], of: Partial<Endpoint> = {}) =>
    status({ workers: known(workers as (typeof atWork)[], nowMs) }, of);
  const costs = (...all: readonly EndpointStatus[]) =>
    billedWorkers(all, prices).map(({ id, usdPerHourMicros }) => [id, usdPerHourMicros]);

  it('are those from their start to their end; who waits for a machine or crashes costs nothing', () => {
    const all = [
      worker('running'),
      worker('idle', { status: 'idle' }),
      worker('boots', { status: 'initializing' }),
      worker('seeks', { status: 'initializing', gpuId: undefined }),
      worker('throttled', { status: 'throttled' }),
      worker('crashes', { status: 'unhealthy' }),
    ];
    assert.deepEqual(costs(seen(all)), [
      ['running', 1_116_000],
      ['idle', 1_116_000],
      ['boots', 1_116_000],
    ]);
  });

  it('cost as their cards do; the dearest of the endpoint while the card is not told; unknown is not zero', () => {
    assert.deepEqual(costs(seen([worker('two', { gpuCount: 2 })])), [['two', 2_232_000]]);
    assert.deepEqual(costs(seen([worker('untold', { gpuId: undefined })])), [['untold', 1_116_000]]);
    assert.deepEqual(costs(seen([worker('odd', { gpuId: 'odd' })], { gpuPools: [] })), [['odd', undefined]]);
    assert.deepEqual(costs(status(asUnknown)), []);
  });
});

describe('price by the second', () => {
  it('keeps two digits that count', () => {
    assert.equal(formatUsdPerSecond(1_116_000), '$0.00031/s');
    assert.equal(formatUsdPerSecond(580_000), '$0.00016/s');
    assert.equal(formatUsdPerSecond(36_000_000), '$0.010/s');
    assert.equal(formatUsdPerSecond(0), '$0.00/s');
  });
});
