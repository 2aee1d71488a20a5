import assert from 'node:assert/strict';
import { rowTokens } from '../../src/contract.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';
import { logLineText } from '../../src/ui/commands/podLogsText.ts';
import { podRows } from '../../src/ui/trees/podRows.ts';
import { podsDescription, podsState, runningBadge } from '../../src/ui/trees/podsHead.ts';
import type { PodScene } from '../../src/ui/trees/podScene.ts';
import { upText } from '../../src/ui/trees/podText.ts';
import type { Row } from '../../src/ui/trees/row.ts';
import { TreeNodes } from '../../src/ui/trees/treeNodes.ts';

const nowMs = 1_800_000_000_000;

function pod(change: Partial<Pod> = {}): Pod {
  return {
    id: 'abc123',
    name: 'podrelay-one',
    status: 'RUNNING',
    actions: ['stop', 'restart', 'terminate'],
    gpu: { id: 'NVIDIA GeForce RTX 4090', count: 1 },
    usdPerHourMicros: 340_000,
    image: 'runpod/comfyui:latest',
    ports: ['8188/http', '22/tcp'],
    mark: 'podrelay-one',
    cloud: 'SECURE',
    dataCenterId: 'EU-RO-1',
    locked: false,
    runtime: {
      uptimeSeconds: 72 * 60,
      gpuCount: 1,
      gpuUtilPercent: [87],
      gpuMemoryPercent: [64],
      cpuPercent: 12,
      memoryPercent: 31,
    },
    createdAtMs: nowMs - 5_000_000,
    startedAtMs: nowMs - 72 * 60_000,
    containerDiskGb: 30,
    volumeGb: 60,
    networkVolumeIds: [],
    idleStopSeconds: 900,
    ...change,
  };
}

const stopped: Partial<Pod> = {
  status: 'EXITED',
  usdPerHourMicros: 0,
  actions: ['start', 'terminate'],
  runtime: undefined,
};

function scene(pods: readonly Pod[], change: Partial<PodScene> = {}): PodScene {
  return {
    pods: known(pods, nowMs),
    lastSeen: { pods, at: nowMs },
    hasKey: true,
    configured: undefined,
    useAll: true,
    spent: undefined,
    filter: [],
    groupBy: 'none',
    address: (id, port) => `https://${id}-${port}.proxy.test`,
    nowMs,
    ...change,
  };
}

const rowOf = (one: Pod, change: Partial<PodScene> = {}): Row => podRows(scene([one], change))[0]!;
const details = (one: Pod, change: Partial<PodScene> = {}) =>
  new Map(rowOf(one, change).children!.map(({ label, description }) => [label, description]));

describe('pod rows', () => {
  it('shows GPU, price, time and load', () => {
    assert.equal(rowOf(pod()).description, 'RTX 4090 · $0.34/h · 1 h 12 m · GPU 87 %');
    const two = pod({ gpu: { id: 'NVIDIA GeForce RTX 4090', count: 2 } });
    assert.match(rowOf(two).description ?? '', /^2 × RTX 4090 · /);
  });

  it('leaves out what RunPod does not tell, and never shows it as 0', () => {
    const silent = pod({ runtime: undefined, startedAtMs: undefined });
    assert.equal(rowOf(silent).description, 'RTX 4090 · $0.34/h');
    const shown = details(silent);
    assert.equal(shown.get('GPU load'), '–');
    assert.equal(shown.get('GPU memory'), '–');
    assert.equal(shown.get('Running for'), '–');
    assert.equal(shown.get('Cost so far'), '–');
    assert.equal(details(pod({ dataCenterId: undefined, cloud: undefined })).get('Data centre'), '–');
  });

  it('tells a load of 0 from an unknown one', () => {
    const idle = pod({ runtime: { ...pod().runtime!, gpuUtilPercent: [0] } });
    assert.match(rowOf(idle).description ?? '', /GPU 0 %$/);
  });

  it('lets the time run on between two lists', () => {
    assert.match(rowOf(pod(), { nowMs: nowMs + 60_000 }).description ?? '', / 1 h 13 m /);
  });

  it('says what a stopped pod costs, which is not nothing', () => {
    const row = rowOf(pod(stopped));
    assert.equal(row.description, 'stopped · RTX 4090');
    assert.equal(details(pod(stopped)).get('Price'), '$0.02/h for its disks');
    assert.equal(details(pod(stopped)).get('GPU load'), undefined);
  });

  it('tells every detail of a running pod', () => {
    const spent = new Map([['abc123', { micros: 1_240_000, estimatedMicros: 20_000 }]]);
    assert.deepEqual(
      [...details(pod(), { spent })],
      [
        ['Status', 'Running'],
        ['GPU load', '87 %'],
        ['GPU memory', '64 %'],
        ['Running for', '1 h 12 m'],
        ['Price', '$0.34/h and $0.01/h for its disks'],
        ['Cost so far', '$1.24 · $0.02 of it estimated'],
        ['Idle stop', 'after 15 min without work'],
        ['Data centre', 'EU-RO-1 · secure cloud'],
        ['Image', 'runpod/comfyui:latest'],
        ['Disks', '30 GB container · 60 GB volume'],
        ['Access', 'open to everyone who knows its address'],
        ['Port 8188', 'ComfyUI · https://abc123-8188.proxy.test'],
        ['Port 22', 'TCP'],
        ['Jobs', 'run here too, while it runs'],
        ['Pod id', 'abc123'],
        ['Deployed by', 'PodRelay'],
      ],
    );
  });

  it('tells a private pod from one that is open to everyone, and says nothing where there is no ComfyUI', () => {
    const access = (change: Partial<Pod>, scene: Partial<PodScene> = {}): Row | undefined =>
      rowOf(pod(change), scene).children?.find(({ label }) => label === 'Access');
    assert.deepEqual(
      [access({ tokenSha256: 'ab'.repeat(32) }), access({})].map((row) => [row?.description, row?.icon?.id]),
      [
        ['private: its ComfyUI opens with its token only', 'lock'],
        ['open to everyone who knows its address', 'unlock'],
      ],
    );
    assert.equal(access({ ports: ['22/tcp'] }), undefined);
    const elsewhere = access({ tokenSha256: 'ab'.repeat(32) }, { closed: new Set(['abc123']) });
    assert.match(elsewhere?.description ?? '', /token is not on this computer; its own agent stops it/);
  });

  it('does not promise an idle stop that nobody has set up', () => {
    const { idleStopSeconds: _, ...bare } = pod();
    assert.equal(details(bare).get('Idle stop'), '–');
    const foreign = details({ ...bare, mark: undefined, name: 'training' });
    assert.equal(foreign.get('Idle stop'), 'none: it runs until someone stops it');
    assert.equal(foreign.get('Deployed by'), 'someone else');
  });

  it('says to a screen reader what the icon shows, once', () => {
    assert.equal(
      rowOf(pod()).spoken,
      'podrelay-one, running, RTX 4090, $0.34/h, 1 h 12 m, GPU 87 %, Deployed by PodRelay',
    );
    assert.equal(rowOf(pod(stopped)).spoken, 'podrelay-one, stopped, RTX 4090, Deployed by PodRelay');
  });

  it('marks our pods and the one that runs jobs', () => {
    const foreign = { mark: undefined, name: 'training' };
    assert.equal(rowOf(pod()).mark?.badge, 'P');
    assert.equal(rowOf(pod(foreign)).mark, undefined);
    const chosen = rowOf(pod(foreign), { configured: 'abc123' });
    assert.equal(chosen.mark?.badge, '★');
    assert.match(chosen.spoken ?? '', /Runs jobs$/);
    assert.ok(details(pod(), { configured: 'abc123' }).has('Jobs'));
    assert.equal(details(pod()).get('Jobs'), 'run here too, while it runs');
    assert.ok(!details(pod(), { useAll: false }).has('Jobs'));
    assert.ok(!details(pod({ status: 'EXITED' })).has('Jobs'));
    assert.ok(!details(pod(foreign)).has('Jobs'));
  });

  it('shows state by shape as well as by colour, unknown ones too', () => {
    const statuses = ['RUNNING', 'STARTING', 'PROVISIONING', 'ERROR', 'EXITED', 'TERMINATED', 'HIBERNATING'];
    const shapes = statuses.map((status) => rowOf(pod({ status })).icon?.id);
    assert.equal(new Set(shapes).size, statuses.length, shapes.join(' '));
    assert.match(rowOf(pod({ status: 'HIBERNATING' })).description ?? '', /^hibernating · /);
  });

  it('warns of a pod that came back without its GPU', () => {
    const row = rowOf(pod({ runtime: { ...pod().runtime!, gpuCount: 0, gpuUtilPercent: [] } }));
    assert.equal(row.icon?.id, 'warning');
    assert.match(row.description ?? '', /^no GPU \(was RTX 4090\)/);
  });

  it('offers what RunPod allows, less what a lock forbids', () => {
    assert.equal(rowOf(pod()).context, ';pod;stoppable;restartable;terminable;reachable;spare;');
    assert.equal(rowOf(pod(stopped)).context, ';pod;startable;terminable;spare;');
    assert.equal(rowOf(pod({ locked: true })).context, ';pod;reachable;spare;');
    assert.equal(
      rowOf(pod({ ports: ['8888/http'] }), { configured: 'abc123' }).context,
      ';pod;stoppable;restartable;terminable;',
    );
    for (const token of rowOf(pod())
      .context!.split(';')
      .filter((one) => one !== '')) {
      assert.ok(rowTokens.includes(token as never), token);
    }
  });

  it('links HTTP ports of a running pod only', () => {
    const ports = (one: Pod) => rowOf(one).children!.filter(({ label }) => label.startsWith('Port'));
    assert.deepEqual(
      ports(pod()).map(({ command }) => command?.args),
      [['abc123', 8188], undefined],
    );
    assert.ok(ports(pod(stopped)).every(({ command }) => command === undefined));
    assert.equal(ports(pod({ ports: ['rubbish'] }))[0]?.description, '–');
  });

  it('keeps text from outside out of Markdown', () => {
    const row = rowOf(pod({ name: '[x](command:evil) $(zap)', image: 'a|b' }));
    assert.doesNotMatch(row.tooltip ?? '', /\[x\]\(command/);
    assert.doesNotMatch(row.tooltip ?? '', /[^\\]\$\(zap/);
    assert.match(row.tooltip ?? '', /a\\\|b/);
  });

  it('puts what costs money first and keeps the order of the list otherwise', () => {
    const pods = [
      pod({ id: 'a', ...stopped }),
      pod({ id: 'b' }),
      pod({ id: 'c', status: 'STARTING' }),
      pod({ id: 'd', ...stopped }),
      pod({ id: 'e', status: 'HIBERNATING' }),
    ];
    assert.deepEqual(
      podRows(scene(pods)).map(({ id }) => id),
      ['pod:b', 'pod:c', 'pod:e', 'pod:a', 'pod:d'],
    );
  });

  it('puts the pod that runs jobs, and then ours, before those of others', () => {
    const pods = [pod({ id: 'a', mark: undefined, name: 'x' }), pod({ id: 'b' }), pod({ id: 'c' })];
    assert.deepEqual(
      podRows(scene(pods, { configured: 'c' })).map(({ id }) => id),
      ['pod:c', 'pod:b', 'pod:a'],
    );
  });

  it('says how a pod has run up its time', () => {
    assert.deepEqual([45_000, 59_999, 60_000, 3_599_000, 3_600_000, 90_000_000].map(upText), [
      '45 s',
      '59 s',
      '1 m',
      '59 m',
      '1 h 0 m',
      '1 d 1 h',
    ]);
  });
});

describe('pods: filter and groups', () => {
  const pods = [
    pod({ id: 'a', ...stopped }),
    pod({ id: 'b' }),
    pod({ id: 'c', gpu: { id: 'NVIDIA RTX A4000', count: 1 }, usdPerHourMicros: 170_000 }),
  ];

  it('shows only the chosen statuses', () => {
    const rows = podRows(scene(pods, { filter: ['RUNNING'] }));
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['pod:b', 'pod:c'],
    );
  });

  it('does not let money vanish behind a filter', () => {
    const rows = podRows(scene(pods, { filter: ['EXITED'] }));
    assert.deepEqual(
      rows.map(({ label, description }) => [label, description]),
      [
        ['podrelay-one', 'stopped · RTX 4090'],
        ['2 running pods are hidden', 'show every pod'],
      ],
    );
  });

  it('says when nothing matches, with the way back', () => {
    const [row] = podRows(scene([pods[0]!], { filter: ['ERROR'] }));
    assert.equal(row?.label, 'No pod matches the filter');
    assert.deepEqual(row.command?.args, ['all']);
  });

  it('groups by status', () => {
    const rows = podRows(scene(pods, { groupBy: 'status' }));
    assert.deepEqual(
      rows.map(({ label, description, open, children }) => [label, description, open, children?.length]),
      [
        ['Running', '2 · $0.51/h', true, 2],
        ['Stopped', '1', true, 1],
      ],
    );
  });

  it('groups by GPU', () => {
    const rows = podRows(scene(pods, { groupBy: 'gpu' }));
    assert.deepEqual(
      rows.map(({ label, description }) => [label, description]),
      [
        ['RTX 4090', '2 · $0.34/h'],
        ['RTX A4000', '1 · $0.17/h'],
      ],
    );
  });

  it('does not repeat in a row what its group says', () => {
    const first = (groupBy: 'status' | 'gpu', one: Pod) => podRows(scene([one], { groupBy }))[0]?.children?.[0];
    assert.equal(first('status', pod(stopped))?.description, 'RTX 4090');
    assert.equal(first('gpu', pod(stopped))?.description, 'stopped');
    assert.equal(first('gpu', pod())?.description, '$0.34/h · 1 h 12 m · GPU 87 %');
  });

  it('tells both in the head of the view', () => {
    assert.equal(podsDescription({ filter: [], groupBy: 'none' }), '');
    assert.equal(podsDescription({ filter: ['RUNNING', 'EXITED'], groupBy: 'gpu' }), 'only running, stopped · by GPU');
  });
});

describe('pods: loading, failed, empty', () => {
  const why = new Fault('unreachable', 'RunPod does not answer');

  it('leaves the tree to a welcome text without a key, and without pods', () => {
    assert.equal(podsState(scene([], { hasKey: false })), 'noKey');
    assert.equal(podsState(scene([])), 'none');
    assert.deepEqual(podRows(scene([])), []);
    assert.deepEqual(podRows(scene([pod()], { hasKey: false })), []);
  });

  it('does not take unknown for empty', () => {
    const rows = podRows(scene([], { pods: unknown(nowMs), lastSeen: undefined }));
    assert.deepEqual(
      rows.map(({ label }) => label),
      ['Looking for pods…'],
    );
  });

  it('makes a failed load a row with a retry, above the pods as last seen', () => {
    const seen = { pods: [pod()], at: nowMs - 240_000 };
    const rows = podRows(scene([], { pods: unknown(nowMs - 5_000, why), lastSeen: seen }));
    assert.deepEqual(
      rows.map(({ id, description, faded }) => [id, description, faded]),
      [
        ['pods:failed', 'RunPod does not answer', undefined],
        ['pods:retry', undefined, undefined],
        ['pod:abc123', 'seen 4 min ago · RTX 4090 · $0.34/h · 1 h 12 m · GPU 87 %', true],
      ],
    );
  });

  it('asks for a key when the key is at fault', () => {
    const refused = new Fault('unauthorized', 'RunPod does not accept the API key');
    const rows = podRows(scene([], { pods: unknown(nowMs, refused), lastSeen: undefined }));
    assert.deepEqual(
      rows.map(({ id }) => id),
      ['pods:failed', 'pods:key'],
    );
  });

  it('counts what costs money in the badge, and says when that is old', () => {
    const pods = [pod({ id: 'a' }), pod({ id: 'b', status: 'STARTING' }), pod({ id: 'c', ...stopped })];
    assert.deepEqual(runningBadge(scene(pods)), { value: 2, tooltip: '2 pods running' });
    assert.equal(runningBadge(scene([pod(stopped)])), undefined);
    assert.deepEqual(runningBadge(scene(pods), 1), { value: 3, tooltip: '2 pods running, 1 serverless worker up' });
    assert.deepEqual(runningBadge(scene([]), 2), { value: 2, tooltip: '2 serverless workers up' });
    const old = runningBadge({ pods: unknown(nowMs, why), lastSeen: { pods, at: 0 } });
    assert.equal(old?.tooltip, '2 pods running when last seen');
  });
});

describe('tree nodes', () => {
  const row = (id: string, label = id, change: Partial<Row> = {}): Row => ({ id, label, ...change });
  const ids = (redraw: ReturnType<TreeNodes['update']>) => (redraw === 'all' ? 'all' : redraw.map(({ id }) => id));

  it('draws only what has changed', () => {
    const nodes = new TreeNodes();
    assert.equal(nodes.update([row('a'), row('b')]), 'all');
    const [, b] = nodes.roots;
    assert.deepEqual(ids(nodes.update([row('a'), row('b')])), []);
    assert.deepEqual(ids(nodes.update([row('a'), row('b', 'new')])), ['b']);
    assert.equal(nodes.roots[1], b, 'the node stays the same, and shows the new row');
    assert.equal(b?.row.label, 'new');
  });

  it('draws all when rows come, go or move', () => {
    const nodes = new TreeNodes();
    nodes.update([row('a'), row('b')]);
    assert.equal(nodes.update([row('b'), row('a')]), 'all');
    assert.equal(nodes.update([row('b')]), 'all');
    assert.equal(nodes.update([row('b'), row('c')]), 'all');
  });

  it('draws a child alone when only that has changed, and the parent when children came or went', () => {
    const parent = (...children: Row[]): Row => row('p', 'p', { children });
    const nodes = new TreeNodes();
    nodes.update([parent(row('x'), row('y'))]);
    assert.deepEqual(ids(nodes.update([parent(row('x'), row('y', 'new'))])), ['y']);
    assert.deepEqual(ids(nodes.update([parent(row('x'))])), ['p']);
  });

  it('draws all when a row moves from one group to another', () => {
    const group = (id: string, ...children: Row[]): Row => row(id, id, { open: true, children });
    const nodes = new TreeNodes();
    nodes.update([group('g', row('x'), row('y')), group('h', row('z'))]);
    assert.deepEqual(ids(nodes.update([group('g', row('x'), row('y')), group('h', row('z', 'new'))])), ['z']);
    assert.equal(nodes.update([group('g', row('x')), group('h', row('y'), row('z', 'new'))]), 'all');
  });

  it('of a thousand pods, draws the one that has changed', () => {
    const pods = Array.from({ length: 1_000 }, (_, at) =>
      pod({ id: `pod${at}`, runtime: undefined, startedAtMs: undefined }),
    );
    const nodes = new TreeNodes();
    nodes.update(podRows(scene(pods)));
    assert.equal(nodes.roots.length, 1_000);
    const changed = pods.map((one, at) => (at === 500 ? { ...one, usdPerHourMicros: 350_000 } : one));
    const redraw = ids(nodes.update(podRows(scene(changed, { nowMs: nowMs + 10_000 }))));
    assert.deepEqual(redraw, ['pod:pod500']);
  });
});

describe('lines of a pod log', () => {
  it('have time and source, and no terminal codes', () => {
    const atMs = new Date(2026, 10, 22, 9, 2, 11).getTime();
    const line = (text: string) => logLineText({ source: 'system', atMs, text });
    assert.equal(line('\u001b[32mpulling\u001b[0m image\n'), '09:02:11 system    pulling image');
    assert.equal(line('10 %\r55 %\r100 %\r\n'), '09:02:11 system    100 %');
    assert.equal(logLineText({ source: 'container', atMs: undefined, text: 'x' }), '         container x');
  });
});
