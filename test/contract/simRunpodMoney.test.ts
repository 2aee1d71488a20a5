import assert from 'node:assert/strict';
import type { InvoiceLine } from '../../src/sim/runpod/billing.ts';
import { bench, podBody, type Answer, type Bench } from './simRunpodHarness.ts';

const minute = 60_000;
const hour = 60 * minute;
/** Micro-dollars per GB and hour: $0.10 a month of 730 hours; network volumes $0.07. */
const diskMicros = 100_000 / 730;
const networkMicros = 70_000 / 730;
const gpuMicros = 690_000;

describe('RunPod simulator: money', () => {
  let world: Bench;
  beforeEach(async () => {
    world = await bench();
  });
  afterEach(() => world.close());

  const create = (name: string, more: object = {}): Promise<Answer> =>
    world.send('POST', '/v2/pods', { body: podBody(name, more) });
  const act = (id: string, action: string): Promise<Answer> =>
    world.send('POST', `/v2/pods/${id}/action`, { body: { action } });
  const statusOf = (id: string): string | undefined => world.sim.state().pods.find((pod) => pod.id === id)?.status;
  const lineOf = (id: string): InvoiceLine =>
    world.sim.invoice().lines.find((line) => line.podId === id || line.networkVolumeId === id)!;
  const volume = { id: 'vol1', name: 'data', size: 100, dataCenter: 'EU-RO-1', type: 'STANDARD' } as const;
  const bill = (query: string): Promise<Answer> => world.send('GET', `/v2/billing${query}`);

  describe('S36: the billing clock', () => {
    it('GPU and both disks while it runs, only the volume while it is stopped, at twice its price, and then nothing', async () => {
      const { id } = (await create('a')).json;
      world.time.advance(10 * hour);
      await act(id, 'stop');
      world.time.advance(10 * hour);
      const expected = {
        computeMicros: 10 * gpuMicros,
        containerDiskMicros: Math.round(10 * 30 * diskMicros),
        volumeDiskMicros: Math.round(10 * 60 * diskMicros),
        stoppedVolumeDiskMicros: Math.round(2 * 10 * 60 * diskMicros),
        computeSeconds: 36_000,
        stoppedSeconds: 36_000,
      };
      assert.deepEqual({ ...lineOf(id), ...expected }, lineOf(id));
      const before = lineOf(id).totalMicros;
      assert.equal(before, 10 * gpuMicros + Math.round(300 * diskMicros) + 2 * 82_192 + 82_192);
      await world.send('DELETE', `/v2/pods/${id}`);
      world.time.advance(10 * hour);
      assert.equal(lineOf(id).totalMicros, before);
    });

    it('from PROVISIONING on, or from RUNNING only', async () => {
      world.sim.configure({ provisioningMs: 4_000, firstPullMs: 45_000 });
      const { id } = (await create('a')).json;
      world.time.advance(40_000);
      assert.equal(lineOf(id).computeSeconds, 40);
      world.sim.configure({ gpuBillsFrom: 'RUNNING' });
      assert.equal(lineOf(id).computeSeconds, 0);
      assert.ok(lineOf(id).containerDiskMicros > 0);
      world.time.advance(60_000);
      assert.equal(lineOf(id).computeSeconds, 51);
    });

    it('a pod in ERROR bills as one that runs, whichever way', async () => {
      world.sim.faults.set({ failure: { kind: 'errorAfterRun' }, on: ['createPod'] });
      const { id } = (await create('a')).json;
      world.time.advance(hour);
      assert.equal(statusOf(id), 'ERROR');
      const before = lineOf(id).computeSeconds;
      world.time.advance(hour);
      assert.equal(lineOf(id).computeSeconds - before, 3_600);
    });

    it('network volumes bill from their creation to their end, with no pod at all, and are in the invoice as in the bill', async () => {
      const large = { ...volume, id: 'vol2', size: 1_500 } as const;
      const quick = { ...volume, id: 'vol3', type: 'HIGH_PERFORMANCE' } as const;
      for (const one of [volume, large, quick]) world.sim.seedVolume(one);
      world.time.advance(10 * hour);
      const micros = (id: string): number => lineOf(id).networkVolumeMicros;
      assert.equal(micros('vol1'), Math.round(10 * 100 * networkMicros));
      assert.equal(micros('vol2'), Math.round(10 * (1_000 * networkMicros + (500 * 50_000) / 730)));
      assert.equal(micros('vol3'), Math.round(2 * 10 * 100 * networkMicros));
      await world.send('DELETE', '/v2/network-volumes/vol1');
      const ended = micros('vol1');
      world.time.advance(10 * hour);
      assert.equal(micros('vol1'), ended);
      assert.ok(micros('vol2') > 2 * ended);
      const { totals } = (await bill('?lastN=2')).json.metadata;
      assert.ok(Math.abs(totals.totalAmount * 1e6 - world.sim.invoice().totalMicros) < 2);
      assert.ok(totals.storageStandardAmount > totals.storageHighPerformanceAmount);
    });

    it('records are late by the billing lag', async () => {
      world.sim.configure({ billingLagMs: 300_000 });
      await create('a');
      const seconds = async (): Promise<number> => {
        const { totals } = (await bill('/pods?bucketSize=hour&lastN=1')).json.metadata;
        return Math.round((totals.gpuAmount / 0.69) * 3_600);
      };
      world.time.advance(4 * minute);
      assert.equal(await seconds(), 0);
      world.time.advance(6 * minute);
      assert.equal(await seconds(), 300);
      world.sim.configure({ billingLagMs: 0 });
      assert.equal(await seconds(), 600);
    });
  });

  describe('S24: the balance', () => {
    it('below the cost of one hour refuses a create', async () => {
      world.sim.configure({ balanceMicros: gpuMicros - 1 });
      const refused = await create('a');
      assert.deepEqual([refused.status, /balance is too low/.test(refused.json.detail)], [402, true]);
      assert.equal(world.sim.state().pods.length, 0);
      world.sim.configure({ balanceMicros: gpuMicros });
      assert.equal((await create('a')).status, 201);
      world.time.advance(minute);
      assert.equal((await create('b')).status, 402, 'the minute was billed');
    });

    it('is what everything has cost: pods, volumes and workers', async () => {
      world.sim.configure({ balanceMicros: gpuMicros + 100_000 });
      world.sim.seedVolume({ ...volume, size: 4_000 });
      world.time.advance(hour);
      assert.equal((await create('a')).status, 402);
      world.sim.configure({ balanceMicros: world.sim.invoice().totalMicros + gpuMicros });
      world.sim.serverless.seedEndpoint({ name: 'e', workers: { min: 1, max: 1, idleTimeout: 30 } });
      world.time.advance(2 * minute);
      const lines = world.sim.invoice().lines.filter((line) => line.serverlessId !== undefined);
      assert.ok(lines.some((line) => line.totalMicros > 0));
      assert.equal((await create('a')).status, 402);
    });

    it('at 0 stops pods with a network volume and ends the others, the locked ones too', async () => {
      world.sim.seedVolume(volume);
      const network = { mounts: { network: [{ volumeId: 'vol1', path: '/workspace' }] } };
      const kept = (await create('kept', network)).json.id;
      const lost = (await create('lost')).json.id;
      const locked = (await create('locked')).json.id;
      const resting = (await create('resting')).json.id;
      world.time.advance(minute);
      await world.send('PATCH', `/v2/pods/${locked}`, { body: { locked: true } });
      await act(resting, 'stop');
      world.sim.configure({ balanceMicros: 600_000 });
      world.time.advance(10 * minute);
      assert.equal(statusOf(lost), 'RUNNING');
      world.time.advance(hour);
      assert.deepEqual([kept, lost, locked, resting].map(statusOf), ['EXITED', 'TERMINATED', 'TERMINATED', 'EXITED']);
    });

    it('a create over the spend limit per hour is refused; what is stopped does not count', async () => {
      world.sim.configure({ spendLimitMicrosPerHour: 1_000_000 });
      const { id } = (await create('a')).json;
      const refused = await create('b');
      assert.deepEqual([refused.status, /spend limit/.test(refused.json.detail)], [400, true]);
      await act(id, 'stop');
      assert.equal((await create('b')).status, 201);
    });
  });

  describe('S50: billing history', () => {
    const span = (from: string, to: string): string => `startTime=${from}&endTime=${to}`;
    const day = '2026-11-22T';

    it('takes the last N buckets or a range, not both; a range forward; and nothing malformed', async () => {
      const start = `startTime=${day}09:00:00Z`;
      for (const query of [`lastN=1&${start}`, `lastN=1&endTime=${day}10:00:00Z`]) {
        const { status, json } = await bill(`/pods?${query}`);
        assert.deepEqual([status, json.detail], [400, 'lastN and startTime/endTime are mutually exclusive']);
      }
      assert.equal((await bill(`?${span(`${day}09:00:00Z`, '2026-11-20T00:00:00Z')}`)).status, 400);
      for (const query of ['lastN=0', 'lastN=x', 'bucketSize=minute', 'startTime=yesterday', 'endTime=2026-11-22']) {
        assert.equal((await bill(`?${query}`)).status, 422, query);
      }
    });

    it('snaps the start down and the end up to whole buckets, and leaves a whole one as it is', async () => {
      const echo = async (query: string): Promise<unknown[]> => {
        const { startTime, endTime, bucketSize } = (await bill(`/pods?${query}`)).json.metadata.query;
        return [startTime, endTime, bucketSize];
      };
      const odd = span(`${day}09:20:00Z`, `${day}10:30:00Z`);
      assert.deepEqual(await echo(`${odd}&bucketSize=hour`), [`${day}09:00:00Z`, `${day}11:00:00Z`, 'hour']);
      assert.deepEqual(await echo(odd), [`${day}00:00:00Z`, '2026-11-23T00:00:00Z', 'day']);
      const whole = span(`${day}09:00:00Z`, `${day}10:00:00Z`);
      assert.deepEqual(await echo(`${whole}&bucketSize=hour`), [`${day}09:00:00Z`, `${day}10:00:00Z`, 'hour']);
      // The 22nd is a Sunday: the week began on Monday the 16th.
      assert.deepEqual(await echo(`${odd}&bucketSize=week`), ['2026-11-16T00:00:00Z', '2026-11-23T00:00:00Z', 'week']);
      assert.deepEqual(await echo('lastN=1&bucketSize=month'), [
        '2026-11-01T00:00:00Z',
        '2026-12-01T00:00:00Z',
        'month',
      ]);
      assert.deepEqual(await echo('lastN=3&bucketSize=hour'), [`${day}07:00:00Z`, `${day}10:00:00Z`, 'hour']);
      assert.deepEqual(await echo('lastN=2&bucketSize=year'), ['2025-01-01T00:00:00Z', '2027-01-01T00:00:00Z', 'year']);
      assert.deepEqual(await echo(''), ['2026-10-23T00:00:00Z', '2026-11-23T00:00:00Z', 'day'], '30 days by default');
    });

    it('has a record for each resource and bucket, half-open: no second is in two; totals are their sum', async () => {
      const [a, b] = [(await create('a')).json.id, (await create('b')).json.id];
      world.time.advance(2.5 * hour);
      const { records, metadata } = (await bill('/pods?bucketSize=hour&lastN=4')).json;
      const gpuHours = (id: string): number[] =>
        records
          .filter((record: { podId: string }) => record.podId === id)
          .map((record: { gpuAmount: number }) => Math.round((record.gpuAmount / 0.69) * 100) / 100);
      assert.deepEqual([gpuHours(a), gpuHours(b)], [[1, 1, 0.5], [1, 1, 0.5]]); // prettier-ignore
      assert.deepEqual([metadata.recordCount, metadata.uniquePodCount], [6, 2]);
      for (const record of records) assert.equal(Date.parse(record.endTime) - Date.parse(record.startTime), hour);
      for (const name of ['totalAmount', 'gpuAmount', 'cpuAmount', 'diskAmount']) {
        const sum = records.reduce((total: number, record: Record<string, number>) => total + record[name]!, 0);
        assert.ok(Math.abs(metadata.totals[name] - sum) < 1e-9, name);
      }
      const one = (await bill(`/pods?${span(`${day}10:00:00Z`, `${day}11:00:00Z`)}&bucketSize=hour`)).json;
      assert.deepEqual(
        one.records.map((record: { startTime: string }) => record.startTime),
        Array(2).fill(`${day}10:00:00Z`),
      );
    });

    it('keeps pods that are gone, filters, echoes the filter, and is empty without a fault', async () => {
      const { id } = (await create('gone')).json;
      world.time.advance(hour);
      await world.send('DELETE', `/v2/pods/${id}`);
      await create('other');
      world.time.advance(hour);
      const all = (await bill('/pods?lastN=1')).json;
      assert.deepEqual([all.metadata.query.podId, all.metadata.uniquePodCount], [null, 2]);
      const one = (await bill(`/pods?lastN=1&podId=${id}`)).json;
      assert.deepEqual([one.metadata.query.podId, one.records.length, one.records[0].podId], [id, 1, id]);
      const none = (await bill('/pods?lastN=1&podId=nothere')).json;
      assert.deepEqual(
        [none.records, none.metadata.query.podId, none.metadata.totals],
        [[], 'nothere', { totalAmount: 0, gpuAmount: 0, cpuAmount: 0, diskAmount: 0 }],
      );
      assert.ok(!('podId' in (await bill('')).json.metadata.query), 'the sum of all has no filter');
    });

    it('of serverless is under serverless: endpoints are RunPod’s public ones', async () => {
      const { id } = world.sim.serverless.seedEndpoint({ name: 'e', workers: { min: 1, max: 1, idleTimeout: 30 } });
      world.time.advance(hour);
      const { records } = (await bill('/serverless?lastN=1')).json;
      assert.deepEqual([records.length, records[0].serverlessId], [1, id]);
      const trap = (await bill('/endpoints?lastN=1')).json;
      assert.deepEqual([trap.records, trap.metadata.totals], [[], { totalAmount: 0 }]);
      assert.equal((await bill('?lastN=1')).json.metadata.totals.serverlessGpuAmount, records[0].gpuAmount);
    });
  });
});
