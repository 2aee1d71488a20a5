import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { FleetDecision } from '../../src/core/fleet/fleetDecision.ts';
import { createFleetPorts } from '../../src/core/fleet/fleetPorts.ts';
import type { FleetPortsOptions } from '../../src/core/fleet/fleetPorts.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { readSettings } from '../../src/core/settings.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { createFleetStore } from '../../src/core/store/fleetStore.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

const quiet = (): void => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

describe('a stop that automation has decided', () => {
  let root: string;
  let database: Database;
  let steps: string[];
  let decisions: FleetDecision[];
  /** Of the pod, at the last question. */
  let work: { inComfy: number; jobs: number };
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-stop-'));
    database = createDatabase({ file: path.join(root, 'r.sqlite'), steps: schemaSteps, clock: systemClock, log });
    [steps, decisions, work] = [[], [], { inComfy: 0, jobs: 0 }];
  });
  afterEach(async () => {
    database.dispose();
    await rm(root, { recursive: true });
  });

  async function stop(): Promise<void> {
    const pods = {
      lastSeen: { pods: [{ id: 'a', name: 'pod a', status: 'RUNNING', usdPerHourMicros: 340_000 }], at: 0 },
      stop: async () => void steps.push('stopped'),
    };
    const used: Partial<FleetPortsOptions> = {
      ...{ clock: systemClock, log, owner: 'here', isOn: () => true, store: createFleetStore(database) },
      pods: pods as unknown as FleetPortsOptions['pods'],
      settings: () => readSettings(() => undefined).settings,
      backendOf: (podId) => `pod:${podId}`,
      jobsOn: () => work.jobs,
      queueLength: async () => {
        steps.push('asked');
        return work.inComfy;
      },
      retire: () => {
        steps.push('retired');
        return { dispose: () => void steps.push('back') };
      },
      onDecision: (decision) => void decisions.push(decision),
    };
    const ports = createFleetPorts(used as FleetPortsOptions);
    const reason = { because: 'no work', expected: { savedSeconds: undefined, micros: undefined } };
    await ports.carryOut({ do: 'stop', podId: 'a', cause: 'idle', ...reason }, new AbortController().signal);
  }

  it('takes the pod out of dispatch first, then asks for the last time whether it works', async () => {
    await stop();
    assert.deepEqual(steps, ['retired', 'asked', 'stopped', 'back']);
    assert.equal(decisions[0]?.failure, undefined);
  });

  const quicker: Readonly<Record<string, () => unknown>> = {
    'at its own page': () => (work.inComfy = 1),
    'of this window': () => (work.jobs = 1),
    'of another window': () =>
      database.write((rows) =>
        rows.run(`INSERT INTO job (id, label, workflow, state, backend, attempts, outputs, details, requested_at,
          changed_at, owner, lease_until) VALUES ('j', '', '', 'running', 'pod:a', '[]', '[]', '{}', 0, 0, '', 0)`),
      ),
  };
  for (const [whose, begin] of Object.entries(quicker)) {
    it(`is called off for a job ${whose} that was quicker, and the pod gets jobs again`, async () => {
      await begin();
      await assert.rejects(stop(), /given work meanwhile/);
      assert.deepEqual(steps, ['retired', 'asked', 'back']);
      assert.match(decisions[0]?.failure ?? '', /given work meanwhile/);
    });
  }
});
