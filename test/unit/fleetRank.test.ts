import assert from 'node:assert/strict';
import { rankGpus } from '../../src/core/fleet/rankGpus.ts';
import type { GpuNeeds } from '../../src/core/fleet/rankGpus.ts';
import type { GpuType } from '../../src/core/runpod/gpuType.ts';

function gpu(id: string, change: Partial<GpuType> = {}): GpuType {
  return {
    id,
    name: id,
    manufacturer: 'NVIDIA',
    memoryGb: 24,
    secure: { offered: true, usdPerHourMicros: 500_000, maxCount: 8 },
    community: { offered: true, usdPerHourMicros: 300_000, maxCount: 4 },
    stock: 'HIGH',
    dataCenters: [],
    ...change,
  };
}

const needs: GpuNeeds = { minVramGb: 16, count: 1, maxUsdPerHourMicros: 1_000_000 };

function refusal(type: GpuType, change: Partial<GpuNeeds> = {}): string | undefined {
  return rankGpus([{ cloud: 'SECURE', gpus: [type] }], { ...needs, ...change }).refused[0]?.why;
}

describe('ranking GPUs', () => {
  it('puts the cheapest able one first, over both cloud tiers', () => {
    const cheap = gpu('cheap', { secure: { offered: true, usdPerHourMicros: 290_000, maxCount: 8 } });
    const both = [cheap, gpu('dear')];
    const { candidates } = rankGpus(
      [
        { cloud: 'SECURE', gpus: both },
        { cloud: 'COMMUNITY', gpus: both },
      ],
      needs,
    );
    assert.deepEqual(
      candidates.map((one) => `${one.gpuId} ${one.cloud} ${one.usdPerHourMicros}`),
      ['cheap SECURE 290000', 'cheap COMMUNITY 300000', 'dear COMMUNITY 300000', 'dear SECURE 500000'],
    );
  });

  it('quotes the whole pod', () => {
    const { candidates } = rankGpus([{ cloud: 'SECURE', gpus: [gpu('a')] }], { ...needs, count: 2 });
    assert.equal(candidates[0]?.usdPerHourMicros, 1_000_000);
  });

  it('prefers plenty of stock at the same price; unknown stock is tried last', () => {
    const gpus = [gpu('unsure', { stock: undefined }), gpu('low', { stock: 'LOW' }), gpu('high')];
    const { candidates } = rankGpus([{ cloud: 'SECURE', gpus }], needs);
    assert.deepEqual(
      candidates.map((one) => one.gpuId),
      ['high', 'low', 'unsure'],
    );
  });

  it('refuses each with its reason', () => {
    assert.match(refusal(gpu('unknown')) ?? '', /not a real/);
    assert.match(refusal(gpu('x', { memoryGb: 0 })) ?? '', /not a real/);
    assert.match(refusal(gpu('x', { memoryGb: 8 })) ?? '', /8 GB of VRAM, 16 GB needed/);
    assert.match(refusal(gpu('x', { stock: 'NONE' })) ?? '', /out of stock/);
    assert.match(refusal(gpu('x', { manufacturer: 'AMD' })) ?? '', /CUDA/);
    assert.match(refusal(gpu('x'), { maxUsdPerHourMicros: 400_000 }) ?? '', /\$0\.50\/h is over the limit of \$0\.40/);
    assert.match(refusal(gpu('x'), { gpuIds: ['y'] }) ?? '', /chosen GPU types/);
    assert.match(refusal(gpu('x'), { count: 9, maxUsdPerHourMicros: 9e9 }) ?? '', /at most 8/);
    assert.equal(refusal(gpu('x'), { maxUsdPerHourMicros: 500_000 }), undefined, 'the limit itself is allowed');
  });

  it('believes a price only where the tier is offered and the price is over zero', () => {
    const tier = { offered: false, usdPerHourMicros: 100_000, maxCount: 8 };
    assert.match(refusal(gpu('x', { secure: tier })) ?? '', /not offered in the secure cloud/);
    assert.match(refusal(gpu('x', { secure: { ...tier, offered: true, usdPerHourMicros: 0 } })) ?? '', /not offered/);
    assert.match(
      refusal(gpu('x', { secure: { ...tier, offered: true, usdPerHourMicros: undefined } })) ?? '',
      /not off/,
    );
  });

  it('keeps to the chosen data centres', () => {
    const there = gpu('x', { dataCenters: [{ id: 'EU-RO-1', stock: 'LOW' }] });
    const empty = gpu('x', { dataCenters: [{ id: 'EU-RO-1', stock: 'NONE' }] });
    assert.equal(refusal(there, { dataCenterIds: ['EU-RO-1'] }), undefined);
    assert.match(refusal(there, { dataCenterIds: ['US-TX-3'] }) ?? '', /chosen data centres/);
    assert.match(refusal(empty, { dataCenterIds: ['EU-RO-1'] }) ?? '', /chosen data centres/);
  });
});
