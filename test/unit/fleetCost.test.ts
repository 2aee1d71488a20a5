import assert from 'node:assert/strict';
import { diskMicrosPerHour, hourlyCostMicros } from '../../src/core/fleet/podCost.ts';
import { newPodName } from '../../src/core/fleet/podName.ts';
import { isActive } from '../../src/core/fleet/podFilter.ts';
import { proxyAddress, runpodProxyTemplate } from '../../src/core/fleet/proxyAddress.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import { isOurs, toPod } from '../../src/core/runpod/pod.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';
import { PodClock } from '../../src/core/runpod/podClock.ts';

function pod(change: Partial<Pod> = {}): Pod {
  const base = toPod({ id: 'p1', name: 'podrelay-1', status: 'RUNNING', cost: 0.24, disk: 30 }, new PodClock());
  return { ...base, volumeGb: 60, startedAtMs: 0, ...change };
}

describe('what a pod costs', () => {
  it('is its GPU and its disks', () => {
    // 90 GB at $0.10 a month of 730 hours
    assert.equal(hourlyCostMicros(pod()), 240_000 + Math.round(9_000_000 / 730));
  });

  it('goes on when it is stopped: the volume at double price, the container disk at none', () => {
    const stopped = pod({ status: 'EXITED', usdPerHourMicros: 0 });
    assert.equal(hourlyCostMicros(stopped), Math.round(12_000_000 / 730));
    assert.equal(diskMicrosPerHour(pod({ status: 'TERMINATED' })), 0);
  });
});

describe('names and addresses of pods', () => {
  it('are unique and ours', () => {
    const names = new Set(Array.from({ length: 1_000 }, newPodName));
    assert.equal(names.size, 1_000);
    for (const name of names) assert.ok(isOurs(pod({ name })) && /^podrelay-[0-9a-z]{8}$/.test(name));
  });

  it('are made by the template', () => {
    assert.equal(proxyAddress(runpodProxyTemplate, 'abc123', 8188), 'https://abc123-8188.proxy.runpod.net');
    assert.equal(proxyAddress('http://127.0.0.1:4000/{podId}-{port}/', 'abc', 8188), 'http://127.0.0.1:4000/abc-8188');
  });

  it('are refused when an id or a template would lead elsewhere', () => {
    for (const id of ['evil.com/x', 'a@b', '', '../a'])
      assert.throws(() => proxyAddress(runpodProxyTemplate, id, 1), Fault);
    for (const template of ['https://x/', 'file:///{podId}-{port}', '{podId}-{port}']) {
      assert.throws(() => proxyAddress(template, 'abc', 1), Fault, template);
    }
  });
});

describe('active pods', () => {
  const pods = [pod({ id: 'a' }), pod({ id: 'b', status: 'EXITED' }), pod({ id: 'c', status: 'STARTING' })];

  it('are those which cost GPU time', () => {
    assert.deepEqual(
      pods.filter(isActive).map(({ id }) => id),
      ['a', 'c'],
    );
    assert.equal(isActive(pod({ status: 'ERROR' })), false);
  });
});
