import assert from 'node:assert/strict';
import { gpuUtilizationPercent, isOurs, isZeroGpu, mayDo, toPod } from '../../src/core/runpod/pod.ts';
import type { Pod } from '../../src/core/runpod/pod.ts';
import { PodClock } from '../../src/core/runpod/podClock.ts';
import { podListReply, podReply } from '../../src/core/runpod/wire.ts';

const running = {
  id: 'k3v9q0zt1mwx7a',
  name: 'podrelay-7f31c2',
  status: 'RUNNING',
  actions: ['stop', 'restart', 'terminate'],
  image: 'runpod/comfyui:latest',
  args: '',
  disk: 30,
  mounts: { persistent: { size: 60, path: '/workspace' } },
  ports: ['8188/http', '22/tcp'],
  env: { PODRELAY_POD: 'podrelay-7f31c2', HF_TOKEN: 'secret-value' },
  gpu: { id: 'NVIDIA GeForce RTX 4090', count: 2, vcpuCount: 16, memory: 62 },
  cloud: 'SECURE',
  dataCenterId: 'EU-RO-1',
  cost: 0.69,
  locked: false,
  runtime: {
    uptime: 812,
    gpus: [
      { util: 97, memoryUtil: 64 },
      { util: 51, memoryUtil: 20 },
    ],
    cpu: { util: 12 },
    memory: { util: 31 },
    ports: [{ private: 8188, public: 60021, type: 'http', ip: '100.65.0.7' }],
  },
  createdAt: '2026-11-22T09:00:00Z',
  startedAt: '2026-11-22T09:02:10Z',
};

function pod(change: object = {}): Pod {
  return toPod(podReply.parse({ ...running, ...change }), new PodClock());
}

describe('a pod as RunPod describes it', () => {
  it('is read with money in micro-dollars and times in ms', () => {
    const read = pod();
    assert.equal(read.usdPerHourMicros, 690_000);
    assert.deepEqual(read.gpu, { id: 'NVIDIA GeForce RTX 4090', count: 2 });
    assert.equal(read.startedAtMs, Date.UTC(2026, 10, 22, 9, 2, 10));
    assert.equal(read.volumeGb, 60);
    assert.equal(read.containerDiskGb, 30);
    assert.equal(read.runtime?.uptimeSeconds, 812);
  });

  it('has its times by our clock where the two differ, and the same time as the same ever after', () => {
    const clock = new PodClock();
    const startedAt = (change: object = {}): number | undefined =>
      toPod(podReply.parse({ ...running, ...change }), clock).startedAtMs;
    const asTold = Date.UTC(2026, 10, 22, 9, 2, 10);
    const now = Date.UTC(2026, 10, 22, 8);
    clock.note('Sun, 22 Nov 2026 10:00:00 GMT', now);
    assert.equal(startedAt(), asTold - 2 * 3_600_000);
    clock.note('Sun, 22 Nov 2026 10:00:01 GMT', now);
    clock.note(undefined, now);
    assert.equal(startedAt(), asTold - 2 * 3_600_000);
    assert.equal(startedAt({ startedAt: '2026-11-22T09:30:00Z' }), asTold + 1_670_000 - 2 * 3_600_000 - 1_000);
    clock.note('Sun, 22 Nov 2026 08:00:09 GMT', now);
    clock.note('no date', now);
    assert.equal(startedAt({ id: 'another' }), asTold, 'seconds are no other clock');
  });

  it('keeps nothing of its environment but our mark', () => {
    const read = pod();
    assert.equal(read.mark, 'podrelay-7f31c2');
    assert.ok(!JSON.stringify(read).includes('secret-value'));
  });

  it('is read when the runtime is null, empty, partial or odd, and the status is new', () => {
    assert.equal(pod({ runtime: null }).runtime, undefined);
    assert.equal(pod({ runtime: {} }).runtime?.gpuCount, undefined);
    assert.equal(pod({ runtime: { uptime: 3 } }).runtime?.uptimeSeconds, 3);
    assert.equal(pod({ runtime: { gpus: 'soon' } }).runtime, undefined);
    assert.equal(pod({ status: 'HIBERNATING' }).status, 'HIBERNATING');
    assert.deepEqual(pod({ actions: ['levitate', 'stop'] }).actions, ['stop']);
    assert.equal(pod({ startedAt: null, createdAt: 'yesterday' }).createdAtMs, undefined);
    assert.equal(pod({ gpu: null, cpu: { id: 'cpu5c', vcpuCount: 4, memory: 8 } }).gpu, undefined);
  });

  it('is refused without what money and addresses are made from', () => {
    for (const wrong of [{ cost: undefined }, { cost: -1 }, { id: '../x' }, { id: 'a.b' }, { status: undefined }]) {
      assert.equal(podReply.safeParse({ ...running, ...wrong }).success, false, JSON.stringify(wrong));
    }
  });

  it('is listed with and without a pagination block', () => {
    assert.equal(podListReply.parse({ pods: [running] }).pods.length, 1);
    const paged = podListReply.parse({ pods: [], pagination: { nextCursor: null, hasNextPage: false } });
    assert.equal(paged.pagination?.hasNextPage, false);
  });

  it('has the mean load of its GPUs, and none where RunPod tells none', () => {
    assert.equal(gpuUtilizationPercent(pod()), 74);
    assert.equal(gpuUtilizationPercent(pod({ runtime: { gpus: [{ util: 0 }] } })), 0);
    assert.equal(gpuUtilizationPercent(pod({ runtime: { gpus: [{ util: 40 }, {}] } })), 40);
    assert.equal(gpuUtilizationPercent(pod({ runtime: {} })), undefined);
    assert.equal(gpuUtilizationPercent(pod({ runtime: null })), undefined);
  });

  it('came back without a GPU when it runs and sees none', () => {
    assert.equal(isZeroGpu(pod()), false);
    assert.equal(isZeroGpu(pod({ runtime: { uptime: 20, gpus: [] } })), true);
    assert.equal(isZeroGpu(pod({ gpu: { id: 'NVIDIA L4', count: 0 } })), true);
    assert.equal(isZeroGpu(pod({ runtime: {} })), false, 'the first seconds are unknown, not zero');
    assert.equal(isZeroGpu(pod({ status: 'EXITED', gpu: { id: 'NVIDIA L4', count: 0 } })), false);
  });

  it('is ours by name or by mark, whatever it was renamed to', () => {
    assert.equal(isOurs(pod()), true);
    assert.equal(isOurs(pod({ name: 'my favourite' })), true);
    assert.equal(isOurs(pod({ env: {} })), true);
    assert.equal(isOurs(pod({ name: 'my favourite', env: { OTHER: 'x' } })), false);
  });

  it('allows what RunPod lists, less what its lock forbids', () => {
    assert.equal(mayDo(pod(), 'stop'), true);
    assert.equal(mayDo(pod(), 'start'), false);
    assert.equal(mayDo(pod({ locked: true }), 'stop'), false);
    assert.equal(mayDo(pod({ locked: true, status: 'EXITED', actions: ['start', 'terminate'] }), 'start'), true);
  });
});
