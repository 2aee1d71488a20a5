import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { FleetDecision } from '../../src/core/fleet/fleetDecision.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { createFleetStore } from '../../src/core/store/fleetStore.ts';
import type { FleetStore } from '../../src/core/store/fleetStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

const quiet = (): void => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

describe('records of the fleet', () => {
  let root: string;
  let database: Database;
  let store: FleetStore;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-fleet-'));
    const file = path.join(root, 'records.sqlite');
    database = createDatabase({ file, steps: schemaSteps, clock: systemClock, log });
    store = createFleetStore(database);
  });
  afterEach(async () => {
    database.dispose();
    await rm(root, { recursive: true });
  });
  const queueLeader = (leader: string, untilMs: number): Promise<unknown> =>
    database.write((rows) => rows.run('UPDATE scheduler SET leader = ?, lease_until = ?', leader, untilMs));
  const decision = (change: Partial<FleetDecision>): FleetDecision => ({
    ...{ atMs: 1, what: 'start', podId: 'a', podName: 'pod a', usdPerHourMicros: 340_000, because: 'work waits' },
    ...{ expected: { savedSeconds: 12.5, micros: 20 }, failure: undefined },
    ...change,
  });

  it('let one window lead at a time, until it is silent or stands down', async () => {
    assert.equal(await store.lead('one', 1_000, 2_000), true);
    assert.equal(await store.lead('two', 1_500, 2_500), false);
    assert.equal(await store.lead('one', 1_600, 2_600), true, 'it keeps it');
    assert.equal(await store.lead('two', 2_600, 3_600), true, 'the other was silent');
    assert.equal(await store.lead('one', 2_700, 3_700), false);
    await store.standDown('two');
    assert.equal(await store.lead('one', 2_700, 3_700), true);
  });

  it('let only the window lead that leads the queue, when one does', async () => {
    await queueLeader('two', 5_000);
    assert.equal(await store.lead('one', 1_000, 2_000), false);
    assert.equal(await store.lead('two', 1_000, 2_000), true);
    await queueLeader('one', 5_000);
    assert.equal(await store.lead('two', 1_100, 2_100), false, 'it gives the fleet up');
    assert.equal(await store.lead('one', 1_100, 2_100), true);
    await queueLeader('two', 1_200);
    assert.equal(await store.lead('one', 1_200, 2_200), true, 'the lead of the queue has run out');
  });

  it('let the new leader of the queue lead at once, though the lead of a window that has crashed still lasts', async () => {
    await queueLeader('one', 1_500);
    assert.equal(await store.lead('one', 1_000, 90_000), true);
    assert.equal(await store.lead('two', 1_600, 90_600), false, 'nobody leads the queue: the lead goes on');
    await queueLeader('two', 15_000);
    assert.equal(await store.lead('two', 1_600, 90_600), true);
    assert.equal(await store.lead('one', 1_700, 90_700), false);
  });

  it('are not held by a lease of a clock that was wrong', async () => {
    await store.lead('one', 9_000_000, 9_001_000);
    assert.equal(await store.lead('two', 1_000, 2_000), true);
  });

  it('know which pods automation has started last, while somebody leads', async () => {
    await store.note(decision({ atMs: 4 }));
    await store.note(decision({ atMs: 9, podId: 'b', what: 'create' }));
    await store.note(decision({ podId: 'b', what: 'stop', failure: 'It has work' }));
    await store.note(decision({ podId: 'c' }));
    await store.note(decision({ podId: 'c', what: 'stop' }));
    await store.note(decision({ podId: 'd', failure: 'No capacity' }));
    const { launched } = await store.look(1_000, 10);
    assert.deepEqual(
      [...launched].sort(),
      [
        ['a', 4],
        ['b', 9],
      ],
      'with the times',
    );
    assert.equal(await store.seesTo('a', 1_000), false, 'nobody leads');
    await store.lead('one', 1_000, 2_000);
    assert.deepEqual([await store.seesTo('a', 1_500), await store.seesTo('c', 1_500)], [true, false]);
    assert.equal(await store.seesTo('a', 2_000), false, 'the leader is silent');
  });

  it('keep the last hundred decisions whole, and of older ones whose a pod is', async () => {
    await store.note(decision({ podId: 'old', because: 'the oldest' }));
    const last = decision({ atMs: 7, what: 'create', podId: undefined, podName: undefined, failure: 'No capacity' });
    for (let n = 0; n < 120; n++) await store.note(decision({ podId: 'busy', what: n % 2 === 0 ? 'start' : 'stop' }));
    await store.note(last);
    const kept = await store.decisions();
    assert.equal(kept.length, 100);
    assert.deepEqual(kept[0], last);
    assert.deepEqual([...(await store.look(1_000, 10)).launched.keys()], ['old']);
  });

  it('remember who created a pod, and since when its disk costs what it does', async () => {
    await store.note(decision({ atMs: 3, podId: 'made', what: 'create' }));
    for (let n = 0; n < 60; n++) {
      await store.note(decision({ atMs: 10 + n, podId: 'made', what: 'stop' }));
      await store.note(decision({ atMs: 10 + n, podId: 'made' }));
    }
    await store.note(decision({ atMs: 99, podId: 'made', what: 'stop' }));
    await store.note(decision({ atMs: 100, podId: 'made', failure: 'No capacity' }));
    await store.note(decision({ atMs: 5, podId: 'found' }));
    await database.write((rows) => rows.run(`INSERT INTO disk_meter VALUES ('made', 'made', 16, 101, 200)`));
    assert.deepEqual(Object.fromEntries(await store.histories()), {
      made: { isCreated: true, last: { what: 'stop', atMs: 99 }, diskSinceMs: 101 },
      found: { isCreated: false, last: { what: 'start', atMs: 5 }, diskSinceMs: undefined },
    });
  });

  it('tell the beginning of the queue job by job, and what is behind it in groups: none is left out', async () => {
    await database.write((rows) => {
      for (let n = 0; n < 100; n++) {
        const refused = [{ backend: 'pod:x', for: n % 10 === 7 ? 'ever' : 'now', why: '', times: 1 }];
        rows.run(
          `INSERT INTO job (id, label, workflow, state, attempts, outputs, details, requested_at, changed_at, owner,
             lease_until, priority, place, fingerprint, local_only, excluded, not_before)
           VALUES (?, '', '', 'queued', '[]', '[]', '{}', ?, 0, '', 0, 0, ?, ?, 0, ?, ?)`,
          `job-${String(n).padStart(3, '0')}`,
          1_000 + n,
          n,
          n % 2 === 0 ? 'even' : 'odd',
          n % 10 === 7 || n === 3 ? JSON.stringify(refused) : '[]',
          n === 99 ? 50_000 : n === 98 ? 9e12 : 0,
        );
      }
    });
    const { waiting } = await store.look(10_000, 5);
    assert.deepEqual(
      waiting.slice(0, 5).map(({ id, count }) => [id, count]),
      [0, 1, 2, 3, 4].map((n) => [`job-00${n}`, 1]),
    );
    assert.deepEqual([waiting[3]?.excluded, waiting[3]?.refused], [['pod:x'], []]);
    assert.deepEqual(
      waiting.slice(5).map(({ fingerprint, sinceMs, refused, count }) => [fingerprint, sinceMs, refused, count]),
      [
        // The 98th waits by a clock that was wrong; the 99th rests.
        ['even', 1_006, [], 47],
        ['odd', 1_005, [], 37],
        ['odd', 1_007, ['pod:x'], 10],
      ],
    );
    assert.deepEqual((await store.look(10_000, 0)).waiting, []);
  });
});
