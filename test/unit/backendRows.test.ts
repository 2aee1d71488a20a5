import assert from 'node:assert/strict';
import type { Backend, Health, Tier } from '../../src/core/backends/backend.ts';
import type { BackendStatus } from '../../src/core/backends/backendManager.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import { closedBreaker } from '../../src/core/routing/breaker.ts';
import { backendRows, backendsState } from '../../src/ui/trees/backendRows.ts';
import type { BackendScene } from '../../src/ui/trees/backendRows.ts';

const nowMs = 1_000_000;
const healthy: Health = {
  state: 'healthy',
  why: 'ComfyUI 0.33.0 answers',
  latencyMs: 12.4,
  version: '0.33.0',
  gpu: 'RTX 4090',
  vramTotalBytes: 24 * 2 ** 30,
  vramFreeBytes: 20 * 2 ** 30,
  queueLength: 2,
};
const refused: Health = { state: 'unhealthy', why: 'Connection refused', fault: new Fault('unreachable', 'refused') };

function status(id: Tier, change: Partial<BackendStatus> = {}): BackendStatus {
  const backend = { id, tier: id, label: `The ${id}` } as Backend;
  return {
    backend,
    ready: { ok: true },
    health: known(healthy, nowMs - 4_000),
    breaker: closedBreaker,
    checking: false,
    jobs: 0,
    ...change,
  };
}

function scene(statuses: readonly BackendStatus[], change: Partial<BackendScene> = {}): BackendScene {
  const rest = { forced: undefined, preferred: undefined, selected: undefined, switchedOff: new Set<Tier>(), nowMs };
  return { statuses, setUp: true, inventory: () => undefined, ...rest, ...change };
}

const rowOf = (one: BackendStatus, change: Partial<BackendScene> = {}) => backendRows(scene([one], change))[0]!;
const details = (one: BackendStatus, change: Partial<BackendScene> = {}) =>
  new Map(rowOf(one, change).children!.map(({ label, description }) => [label, description]));

describe('backend rows', () => {
  it('keeps the order of the chain and says where the next job goes', () => {
    const rows = backendRows(scene([status('cloud'), status('local')], { selected: 'cloud' }));
    assert.deepEqual(
      rows.map(({ label, description }) => [label, description]),
      [
        ['The cloud', 'next job · 12 ms · RTX 4090'],
        ['The local', '12 ms · RTX 4090'],
      ],
    );
  });

  it('counts what a ComfyUI has, and leaves out what nobody has looked at', () => {
    const inventory = () => ({ checkpoints: 1, loras: 12, nodePacks: 3, nodeTypes: 410 });
    const seen = details(status('local'), { inventory });
    assert.equal(seen.get('Models'), '1 checkpoint · 12 LoRAs');
    assert.equal(seen.get('Nodes'), '3 packs · 410 node types');
    assert.equal(details(status('local')).get('Models'), undefined);
    assert.equal(details(status('local', { health: known(refused, nowMs) }), { inventory }).get('Models'), undefined);
  });

  it('shows state by shape as well as by colour', () => {
    const shapes = [
      status('local'),
      status('local', { health: known(refused, nowMs) }),
      status('local', { health: unknown(0) }),
      status('local', { ready: { ok: false, why: 'Switched off' } }),
      status('local', { health: known({ state: 'degraded', why: 'slow' }, nowMs) }),
      status('local', { health: known({ state: 'stopped', why: 'stopped' }, nowMs) }),
    ].map((one) => rowOf(one).icon?.id);
    assert.equal(new Set(shapes).size, shapes.length, shapes.join(' '));
  });

  it('says why a backend is not healthy', () => {
    assert.equal(rowOf(status('local', { health: known(refused, nowMs) })).description, 'Connection refused');
    assert.equal(rowOf(status('cloud', { ready: { ok: false, why: 'No pod is set' } })).description, 'No pod is set');
  });

  it('never shows the health of a backend that was switched off since', () => {
    const off = status('local', { ready: { ok: false, why: 'Switched off' } });
    assert.equal(rowOf(off).description, 'Switched off');
    assert.equal(details(off).get('GPU'), undefined);
  });

  it('shows unknown as unknown', () => {
    const unseen = status('local', { health: unknown(0) });
    assert.equal(rowOf(unseen).description, 'not checked yet');
    assert.equal(rowOf({ ...unseen, checking: true }).description, 'checking…');
    const { vramFreeBytes: _, ...noFree } = healthy;
    assert.equal(details(status('local', { health: known(noFree, nowMs) })).get('Free GPU memory'), '– of 24.0 GB');
  });

  it('tells version, GPU, memory, queue and age', () => {
    assert.deepEqual(
      [...details(status('local'))],
      [
        ['State', 'Healthy'],
        ['Why', 'ComfyUI 0.33.0 answers'],
        ['Answers in', '12 ms'],
        ['Version', '0.33.0'],
        ['GPU', 'RTX 4090'],
        ['Free GPU memory', '20.0 of 24.0 GB'],
        ['Jobs there', '2'],
        ['Checked', '4 s ago'],
      ],
    );
  });

  it('says that a backend is left alone for a while, in words and by its shape', () => {
    const breaker = { is: 'open', why: 'x', retryAtMs: nowMs + 15_000, opened: 1 } as const;
    const resting = status('local', { health: known(refused, nowMs), breaker });
    assert.equal(details(resting).get('State'), 'Does not work now; left alone for a while');
    assert.match(rowOf(resting).spoken!, /left alone for a while/);
    assert.equal(rowOf(resting).icon?.id, 'watch');
    const works = { ...resting, health: known(healthy, nowMs) };
    assert.equal(details(works).get('State'), 'Healthy', 'what was seen since counts');
  });

  it('says when a shut door is tried again', () => {
    const open = (retryAtMs: number) =>
      details(
        status('local', { health: known(refused, nowMs), breaker: { is: 'open', why: 'x', retryAtMs, opened: 1 } }),
      );
    assert.equal(open(nowMs + 15_000).get('Tried again'), 'in 15 s');
    assert.equal(open(nowMs - 1).get('Tried again'), 'with the next job');
    assert.match(open(Infinity).get('Tried again')!, /key/);
  });

  it('gives menus their tokens', () => {
    assert.equal(rowOf(status('local')).context, ';backend;on;browsable;');
    const off = status('cloud', { ready: { ok: false, why: 'Switched off' } });
    assert.equal(rowOf(off, { switchedOff: new Set(['cloud']) }).context, ';backend;switchedOff;');
    assert.equal(
      rowOf(status('cloud'), { forced: 'cloud', preferred: 'cloud' }).context,
      ';backend;on;only;preferred;',
    );
  });

  it('marks all others as not used while one is forced', () => {
    const rows = backendRows(scene([status('local'), status('cloud')], { forced: 'cloud', selected: 'cloud' }));
    assert.match(rows[0]!.description!, /^not used/);
    assert.match(rows[1]!.description!, /^only this/);
  });

  it('writes what servers say into the tooltip as text, never as a link', () => {
    const evil: Health = { state: 'unhealthy', why: '[click](command:evil) | $(zap)' };
    const { tooltip } = rowOf(status('local', { health: known(evil, nowMs) }));
    assert.doesNotMatch(tooltip!, /[^\\]\[click/);
    assert.match(tooltip!, /\\\[click\\\]\\\(command:evil\\\) \\\| \\\$/);
  });

  it('leaves the view to its welcome text when nothing was set up and nothing answers', () => {
    const bare = [
      status('local', { health: known(refused, nowMs) }),
      status('cloud', { ready: { ok: false, why: 'No RunPod API key is set' } }),
    ];
    assert.equal(backendsState(scene(bare, { setUp: false })), 'notSetUp');
    assert.deepEqual(backendRows(scene(bare, { setUp: false })), []);
    assert.equal(backendRows(scene(bare)).length, 2);
    const unseen = [status('local', { health: unknown(0) })];
    assert.equal(backendsState(scene(unseen, { setUp: false })), 'listed', 'unknown is not nothing');
  });

  describe('of a tier with several backends', () => {
    const pod = (id: string, name: string, change: Partial<BackendStatus> = {}, alias?: string): BackendStatus => {
      const base = status('cloud', change);
      const more = { id, name, label: `RunPod pod ${name}`, ...(alias === undefined ? {} : { alias: () => alias }) };
      return { ...base, backend: { ...base.backend, ...more } };
    };
    const two = [
      pod('cloud', 'podrelay-a', {}, 'pod:a'),
      pod('pod:b', 'podrelay-b', { health: known(refused, nowMs) }),
    ];
    const chain = [status('local'), ...two, status('gemini')];
    const group = (change: Partial<BackendScene> = {}) => backendRows(scene(chain, change))[1]!;

    it('are a group in the place of the tier, open from the start', () => {
      const rows = backendRows(scene(chain, { selected: 'cloud' }));
      assert.deepEqual(
        rows.map(({ id }) => id),
        ['backend:local', 'tier:cloud', 'backend:gemini'],
      );
      assert.equal(rows[1]?.open, true);
      assert.equal(rows[1]?.description, 'next job · 2 backends · 1 healthy');
      assert.deepEqual(
        rows[1]?.children?.map(({ label, description }) => [label, description]),
        [
          ['podrelay-a', 'next job · 12 ms · RTX 4090'],
          ['podrelay-b', 'Connection refused'],
        ],
      );
    });

    it('are one plain row when there is but one that counts', () => {
      const unset = pod('cloud', 'No pod', { ready: { ok: false, why: 'No pod is configured' } });
      const rows = backendRows(scene([status('local'), unset, two[1]!]));
      assert.deepEqual(
        rows.map(({ label }) => label),
        ['The local', 'RunPod pod'],
      );
      assert.equal(rows[1]?.children?.[0]?.description, 'podrelay-b');
    });

    it('tell menus which rows are a tier, and what is chosen', () => {
      assert.equal(group({ switchedOff: new Set(['cloud']) }).context, ';backend;switchedOff;');
      assert.equal(group({ forced: 'cloud' }).context, ';backend;on;only;');
      const children = (forced: string) => group({ forced }).children!.map(({ context }) => context);
      assert.deepEqual(children('cloud'), [';backend;member;', ';backend;member;']);
      assert.deepEqual(children('pod:a'), [';backend;member;only;', ';backend;member;']);
    });

    it('say what is not used while one of them is forced', () => {
      const said = (forced: string) => {
        const rows = backendRows(scene(chain, { forced }));
        return [rows[0]!, rows[1]!, ...rows[1]!.children!].map(({ description }) => description!.split(' · ')[0]);
      };
      assert.deepEqual(said('pod:b'), ['not used', '2 backends', 'not used', 'only this']);
      assert.deepEqual(said('cloud'), ['not used', 'only this', '12 ms', 'Connection refused']);
      assert.deepEqual(said('local').slice(1), ['not used', 'not used', 'not used']);
    });
  });
});
