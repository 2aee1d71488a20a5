import assert from 'node:assert/strict';
import type { BackendStatus } from '../../src/core/backends/backendManager.ts';
import type { Backend, Health, Tier } from '../../src/core/backends/backend.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import type { BackendOutlook } from '../../src/core/queue/strategyOutlook.ts';
import { lensKey, lensText } from '../../src/ui/editor/lensText.ts';
import type { LensScene } from '../../src/ui/editor/lensText.ts';

function status(id: string, tier: Tier, health?: Partial<Health>, more: Partial<BackendStatus> = {}): BackendStatus {
  const backend: Partial<Backend> = { id, tier, label: `the ${id}`, name: id };
  return {
    backend,
    ready: { ok: true },
    health: health === undefined ? unknown(0) : known({ state: 'healthy', why: '', ...health }, 0),
    breaker: { is: 'closed', failures: 0 },
    checking: false,
    jobs: 0,
    ...more,
  } as unknown as BackendStatus;
}
const look = (id: string, change: Partial<BackendOutlook> = {}): BackendOutlook => {
  return { id, label: id, seconds: 42, micros: 0, basis: 'measured', why: undefined, ...change };
};
const policy: LensScene['policy'] = { priority: ['local', 'cloud', 'gemini'], localOnly: false };
const say = (
  statuses: readonly BackendStatus[],
  outlook?: readonly BackendOutlook[],
  change: Partial<LensScene> = {},
) => lensText({ statuses, outlook, policy, ...change });

const local = status('local', 'local', { gpu: 'RTX 3060' });
const pod = status('pod:a', 'cloud', { gpu: 'RTX 4090' });
const gemini = status('gemini', 'gemini', {});
const control = 'ControlNet (node 12): Gemini takes no pose, depth or edges';

describe('the line above a workflow', () => {
  it('is what it would take on each backend, or why it cannot', () => {
    const outlook = [
      look('local'),
      look('pod:a', { seconds: 9, micros: 2_000 }),
      look('gemini', { seconds: undefined, micros: undefined, why: control }),
    ];
    const { title, tooltip, unknown: left } = say([local, pod, gemini], outlook);
    assert.equal(title, 'local 42 s free · RTX 4090 pod 9.0 s $0.002 · Gemini cannot: ControlNet');
    assert.equal(tooltip, `the local: 42 s free\nthe pod:a: 9.0 s $0.002\nthe gemini: ${control}`);
    assert.equal(left, 'none');
  });

  it('never shows as zero what is not known', () => {
    const stopped = status('pod:b', 'cloud', { state: 'stopped' });
    const outlook = [look('pod:b', { seconds: 250, micros: undefined, basis: 'assumed' })];
    assert.equal(say([stopped], outlook).title, 'the pod:b about 4 min, price not known');
    const { title, unknown: left } = say([local, status('pod:a', 'cloud')], [look('local'), look('pod:a')]);
    assert.equal(title, 'local 42 s free · the pod:a not checked');
    assert.equal(left, 'some');
  });

  it('is nothing but the way to ask while nobody was asked', () => {
    const unasked = [status('local', 'local'), status('gemini', 'gemini')];
    assert.deepEqual([say(unasked).title, say(unasked).unknown], [undefined, 'some']);
    const asking = [status('local', 'local', undefined, { checking: true }), status('gemini', 'gemini')];
    assert.equal(say(asking).unknown, 'checking');
  });

  it('says of one that does not answer why, as it was last seen', () => {
    const dead = status('local', 'local', { state: 'unhealthy', why: 'Connection refused' });
    assert.equal(say([dead], [look('local')]).title, 'local cannot: Connection refused');
    const shut = status('local', 'local', {}, {
      breaker: { is: 'open', why: 'The key is wrong.', retryAtMs: 9, failures: 1 },
    } as unknown as Partial<BackendStatus>);
    assert.equal(say([shut], [look('local')]).title, 'local cannot: The key is wrong');
    const long = status('local', 'local', { state: 'unhealthy', why: 'x'.repeat(200) });
    assert.ok((say([long], [look('local')]).title ?? '').length < 60);
    assert.match(say([long], [look('local')]).tooltip, /x{200}/);
  });

  it('leaves out what was not set up or not meant, and says what must stay here', () => {
    const unset = status('pod:a', 'cloud', {}, { ready: { ok: false, why: 'No RunPod API key is set' } });
    assert.equal(say([local, unset], [look('local'), look('pod:a')]).title, 'local 42 s free');
    const forced = { ...policy, forced: 'gemini' };
    assert.equal(say([local, gemini], [look('local'), look('gemini')], { policy: forced }).title, 'Gemini 42 s free');
    const staying = { ...policy, localOnly: true };
    assert.equal(
      say([local, pod], [look('local'), look('pod:a')], { policy: staying }).title,
      "local 42 s free · RTX 4090 pod cannot: marked 'local only'",
    );
  });

  it('calls those that are alike by their own names, and counts what is too much for a line', () => {
    const pods = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => status(id, 'cloud', { gpu: 'RTX 4090' }));
    const { title, tooltip } = say(
      pods,
      pods.map(({ backend }) => look(backend.id)),
    );
    assert.equal(title, 'a 42 s free · b 42 s free · c 42 s free · d 42 s free · +2');
    assert.equal(tooltip.split('\n').length, 6);
  });

  it('is made again when a backend is another, not when it says the same again', () => {
    assert.equal(lensKey([local]), lensKey([status('local', 'local', { gpu: 'RTX 3060', latencyMs: 9 })]));
    const others = [
      status('local', 'local'),
      status('local', 'local', undefined, { checking: true }),
      status('local', 'local', { gpu: 'RTX 4090' }),
      status('local', 'local', { gpu: 'RTX 3060', state: 'unhealthy', why: 'Connection refused' }),
      status('local', 'local', { gpu: 'RTX 3060' }, { ready: { ok: false, why: 'Switched off' } }),
    ];
    assert.equal(new Set([local, ...others].map((one) => lensKey([one]))).size, 6);
  });
});
