// The ten facts that cost users of ComfyUI the most, each as a test of the client: what it does about it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { probeComfy } from '../../src/core/backends/comfyBackend.ts';
import { jobProgress } from '../../src/core/backends/comfyResult.ts';
import { parseWorkflow } from '../../src/core/comfy/workflow.ts';
import type { PromptProgress } from '../../src/core/comfy/runPrompt.ts';
import type { Workflow } from '../../src/core/comfy/workflow.ts';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { ComfyProfile } from '../../src/sim/comfy/profile.ts';
import { openClient } from './comfyClientWorld.ts';
import type { ClientWorld } from './comfyClientWorld.ts';
import { Listener, invertGraph, postJson, startSim } from './simComfyHarness.ts';
import type { Running } from './simComfyHarness.ts';

const profiles: readonly ComfyProfile[] = ['0.3.64', '0.8.0', '0.33.0'];

/** Some 50 steps of 20 ms in real time. */
function slowGraph(steps = 50, seed = 1): Record<string, { class_type: string; inputs: Record<string, unknown> }> {
  return {
    '1': { class_type: 'EmptyImage', inputs: { width: 16, height: 16, batch_size: 1, color: seed } },
    '2': { class_type: 'SimSleep', inputs: { image: ['1', 0], steps, delay: 1, preview: false, seed } },
    '3': { class_type: 'SaveImage', inputs: { images: ['2', 0], filename_prefix: 'slow' } },
  };
}
const quickGraph = (color?: number): Workflow => invertGraph(color) as unknown as Workflow;

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => assert.fail('It succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Fault, String(error));
  return error;
}

for (const profile of profiles) {
  describe(`the ten facts about ComfyUI ${profile}`, () => {
    let run: Running;
    let world: ClientWorld;
    beforeEach(async () => {
      run = await startSim({ profile, nodePacks: ['simtest'] });
      world = openClient(run.base);
    });
    afterEach(async () => {
      await world.close();
      await run.stop();
    });
    const asked = (path: string): number => run.sim.requests.filter((request) => request.path.startsWith(path)).length;
    const executed = (): number => run.sim.state().executedNodes.length;

    it('fact 1: there is no /health, so health is asked of /system_stats and /prompt', async () => {
      assert.equal((await fetch(`${run.base}/health`)).status, 404);
      const health = await probeComfy(world.client, systemClock, world.signal);
      assert.equal(health.state, 'healthy');
      assert.equal(health.version, profile);
      assert.equal(asked('/health'), 1, 'the one of this test');
    });

    it('fact 2: execution_success comes before the history entry, which is waited for', async () => {
      run.sim.control.faults = { historyDelayMs: 17_500 };
      const { files } = await world.run(quickGraph());
      assert.deepEqual(
        files.map(({ filename }) => filename),
        ['t_00001_.png'],
      );
      assert.ok(asked('/history/') > 2);
    });

    it('fact 3: events may come before the reply to the submission, and are not missed', async () => {
      run.sim.control.faults = { earlyEvents: 'always' };
      let accepted = false;
      const before: (string | undefined)[] = [];
      const { files } = await world.run(slowGraph(10), {
        onAccepted: () => (accepted = true),
        onProgress: ({ node }) => void (accepted || before.push(node)),
      });
      assert.equal(files.length, 1);
      assert.ok(before.includes('SimSleep'), 'they were heard before the reply');
    });

    it('fact 4: a second socket of one client id is silenced, so no id is used for two', async () => {
      await Promise.all([1, 2, 3].map((seed) => world.run(slowGraph(3, seed))));
      const ids = run.sim.requests
        .filter(({ path }) => path.startsWith('/ws?'))
        .map(({ path }) => new URLSearchParams(path.slice('/ws?'.length)).get('clientId'));
      assert.equal(ids.length, 3);
      assert.equal(new Set(ids).size, 3);
    });

    it('fact 5: nothing is sent while the client is away, so a lost socket is made up for by asking', async () => {
      const wire = await openWire(run.base);
      const cut = openClient(wire.base);
      try {
        let seenBeforeCut = 0;
        const { files } = await cut.run(slowGraph(), {
          onProgress: ({ phase }) => {
            if (phase === 'running' && ++seenBeforeCut === 8) wire.cutSockets();
          },
        });
        assert.equal(wire.cut, 1);
        assert.equal(files.length, 1);
      } finally {
        await cut.close();
        await wire.close();
      }
    });

    it("fact 5: a stranger's prompt without a client is told to all sockets, and not taken for ours", async () => {
      const strange = slowGraph(40, 99);
      strange['2']!.inputs.preview = true;
      await postJson(run.base, '/prompt', { prompt: strange });
      const seen: PromptProgress[] = [];
      let begun = false;
      const promptId = randomUUID();
      const { files } = await world.run(slowGraph(2, 3), {
        promptId,
        onProgress: (at) => {
          const { running, history } = run.sim.state();
          begun ||= running === promptId || history.includes(promptId);
          if (!begun) seen.push(at);
        },
      });
      assert.equal(files.length, 1);
      assert.ok(seen.length >= 2);
      assert.deepEqual([...new Set(seen.map(({ phase }) => phase))], ['sent', 'queued']);
      assert.ok(seen.every(({ preview, fraction }) => preview === undefined && fraction === undefined));
    });

    it('fact 6: 200 with node_errors drops a branch without a word, which is told as a failure', async () => {
      const workflow: Workflow = {
        ...quickGraph(),
        '4': { class_type: 'SaveImage', inputs: { images: ['1', 0] } },
      };
      const reply = await postJson(run.base, '/prompt', { prompt: workflow });
      assert.equal(reply.status, 200);
      const fault = await faultOf(world.run(workflow));
      assert.equal(fault.kind, 'rejected');
      assert.match(fault.message, /SaveImage \(node 4\).*filename_prefix/);
      assert.deepEqual([fault.facts.nodeId, fault.facts.input], ['4', 'filename_prefix']);
      const listed = run.sim.state();
      assert.deepEqual(
        [listed.pending, listed.running].flat().filter(Boolean),
        [],
        'and what was accepted is taken back',
      );
    });

    it('fact 7: a restart empties queue and history, and the job is told as lost', async () => {
      const promptId = randomUUID();
      let restarted = false;
      const running = world.run(slowGraph(5_000), {
        promptId,
        onProgress: ({ phase }) => {
          if (phase !== 'running' || restarted) return;
          restarted = true;
          run.sim.restart();
        },
      });
      const fault = await faultOf(running);
      assert.match(fault.message, /no longer knows the job: it was restarted/);
      assert.equal(fault.facts.delivered, 'no', 'so it may be run elsewhere');
      assert.deepEqual(await world.client.find(promptId, world.signal), { at: 'unknown' });
    });

    it('fact 8: a node without inputs kills the worker of an accepted prompt, so it is never sent', async () => {
      const deadly = { ...quickGraph(), '9': { class_type: 'EmptyImage' } };
      assert.throws(() => parseWorkflow(JSON.stringify(deadly)), /Node 9 \(EmptyImage\) has no inputs/);
      assert.equal((await postJson(run.base, '/prompt', { prompt: deadly })).status, 200, 'the server takes it');
      for (let tries = 0; run.sim.state().workerAlive && tries < 50; tries++) await systemClock.sleep(20, world.signal);
      assert.equal(run.sim.state().workerAlive, false);
      assert.equal((await fetch(`${run.base}/prompt`)).status, 200, 'and answers as if nothing had happened');
    });

    it('fact 8: a worker that is dead already takes the prompt for ever, and its silence is told', async () => {
      run.sim.control.faults = { zombieWorker: true };
      const startedAt = Date.now();
      // Four minutes of silence in a second.
      const clock = { ...systemClock, now: () => startedAt + (Date.now() - startedAt) * 240 };
      const stop = new AbortController();
      const told: PromptProgress[] = [];
      const onProgress = (at: PromptProgress): void => {
        if (at.silentMs === undefined) return;
        told.push(at);
        stop.abort(new Fault('cancelled', 'Cancelled'));
      };
      setTimeout(() => stop.abort(new Fault('timeout', 'Nothing was told')), 8_000).unref();
      assert.equal((await faultOf(world.run(quickGraph(), { clock, onProgress }, stop.signal))).kind, 'cancelled');
      assert.equal(told.length, 1);
      assert.match(jobProgress(told[0]!).phase, /Nothing heard for \d+ min/);
    });

    it('fact 9: an identical prompt executes nothing and reports the old files, which are taken', async () => {
      const first = await world.run(quickGraph());
      const before = executed();
      const second = await world.run(quickGraph());
      assert.equal(executed(), before);
      assert.deepEqual(second.files, first.files);
      assert.notEqual(second.promptId, first.promptId);
    });

    it('fact 10: queue_pending is a heap array, so the place in line is counted by number', async () => {
      const submit = async (number: number): Promise<string> => {
        const prompt_id = randomUUID();
        await postJson(run.base, '/prompt', { prompt: slowGraph(5_000, number), prompt_id, number });
        return prompt_id;
      };
      await submit(0);
      await systemClock.sleep(50, world.signal);
      const ids = new Map<number, string>();
      for (const number of [1, 9, 2, 10, 8, 3]) ids.set(number, await submit(number));
      const inOrder = [1, 2, 3, 8, 9, 10].map((number) => ids.get(number)!);
      assert.notDeepEqual(run.sim.state().pending, inOrder, 'the array itself is in another order');
      for (const [place, id] of inOrder.entries()) {
        assert.deepEqual(await world.client.find(id, world.signal), { at: 'pending', place });
      }
    });
  });
}

describe('a silenced socket of ComfyUI', () => {
  it('is what fact 4 says: open, and without a word', async () => {
    const run = await startSim();
    const first = await Listener.open(run.base, 'same');
    const second = await Listener.open(run.base, 'same');
    await first.close();
    await systemClock.sleep(50, new AbortController().signal);
    const { length } = second.frames;
    await postJson(run.base, '/prompt', { prompt: invertGraph(), client_id: 'same' });
    await systemClock.sleep(200, new AbortController().signal);
    assert.equal(second.frames.length, length);
    assert.equal(second.closeCode, undefined);
    await second.close();
    await run.stop();
  });
});

interface Wire {
  readonly base: string;
  readonly cut: number;
  cutSockets(): void;
  close(): Promise<void>;
}

/** A line to a server that can break the WebSockets that go through it, and nothing else. */
async function openWire(target: string): Promise<Wire> {
  const sockets = new Set<Socket>();
  const all = new Set<Socket>();
  let cut = 0;
  const server = createServer((from) => {
    const to = connect(Number(new URL(target).port), '127.0.0.1');
    for (const side of [from, to]) {
      all.add(side);
      side.on('error', () => undefined);
      side.on('close', () => (from.destroy(), to.destroy()));
    }
    from.on('data', (bytes) => {
      if (bytes.toString('latin1').startsWith('GET /ws')) sockets.add(from);
    });
    from.pipe(to).pipe(from);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cut() {
      return cut;
    },
    cutSockets: () => {
      for (const socket of sockets) {
        cut += 1;
        socket.destroy();
      }
      sockets.clear();
    },
    close: async () => {
      for (const socket of all) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
