import assert from 'node:assert/strict';
import { commands } from '../../src/contract.ts';
import type { FleetDecision } from '../../src/core/fleet/fleetDecision.ts';
import type { PlannedAction } from '../../src/core/fleet/fleetScene.ts';
import { known, unknown } from '../../src/core/kernel/observed.ts';
import type { QueueJob, QueueView } from '../../src/core/queue/queueView.ts';
import { readSettings } from '../../src/core/settings.ts';
import { fleetState, isHeld, nowText, ranMs, upToText } from '../../src/ui/fleet/fleetState.ts';
import type { FleetState } from '../../src/ui/fleet/fleetState.ts';
import { fleetText } from '../../src/ui/fleet/fleetText.ts';
import type { FleetStory } from '../../src/ui/fleet/fleetText.ts';
import { whyText } from '../../src/ui/fleet/whyText.ts';
import { jobsFleetRows } from '../../src/ui/trees/jobsFleetRow.ts';
import { podFleetRow } from '../../src/ui/trees/podFleetRow.ts';
import { podsState } from '../../src/ui/trees/podsHead.ts';

const minute = 60_000;
const nothing = { savedSeconds: undefined, micros: undefined };

function decision(change: Partial<FleetDecision> = {}): FleetDecision {
  return {
    atMs: 10 * minute,
    what: 'create',
    podId: 'a1',
    podName: 'podrelay-a1',
    usdPerHourMicros: 300_000,
    because: '40 jobs would take 12 min; RTX A5000 as pod 2 at $0.30/h saves 5 min for about $0.05',
    expected: { savedSeconds: 300, micros: 50_000 },
    failure: undefined,
    ...change,
  };
}

const stop = decision({
  atMs: 22 * minute,
  what: 'stop',
  because: 'podrelay-a1 had no work for 60 s; its next start takes 90 s, and $0.30/h is saved',
  expected: { savedSeconds: undefined, micros: -300_000 },
});

const wait = (because: string): PlannedAction => ({ do: 'wait', untilMs: undefined, because });
const held = '40 jobs would take 18 min, but the budget has too little left';

function state(change: Partial<FleetState> = {}): FleetState {
  return {
    maxPods: 3,
    maxUsdPerHourMicros: 2_000_000,
    hindrance: undefined,
    forbidden: false,
    next: undefined,
    ...change,
  };
}

const story = (decisions: readonly FleetDecision[], change: Partial<FleetStory> = {}): string =>
  fleetText({
    ...state(),
    decisions,
    budget: undefined,
    timeText: (ms) => `minute ${String(ms / minute)}`,
    ...change,
  });

describe('the decisions of automation as a text', () => {
  it('says of a launch when, what, why, on which GPU, what that saves and costs, each once', () => {
    assert.deepEqual(story([decision()]).trimEnd().split('\n').slice(-5), [
      'minute 10   podrelay-a1 created at $0.30/h',
      '    Why     40 jobs would take 12 min',
      '    Choice  RTX A5000 as pod 2 at $0.30/h',
      '    Saves   5 min: all is done so much sooner',
      '    Costs   about $0.05, its start and its idle time included',
    ]);
  });

  it('says of a stop why, what that saves, and how long it ran for how much', () => {
    assert.deepEqual(story([stop, decision()]).split('\n').slice(8, 12), [
      'minute 22   podrelay-a1 stopped at $0.30/h',
      '    Why     It had no work for 60 s; its next start takes 90 s',
      '    Saves   $0.30 for each hour',
      '    Ran     12 min, about $0.06',
    ]);
  });

  it('claims no time and no money that is not known', () => {
    const bare = story([decision({ usdPerHourMicros: undefined, because: 'Warm', expected: nothing })]);
    assert.match(bare, /podrelay-a1 created\n {4}Why {5}Warm\n$/);
    assert.doesNotMatch(story([stop]), /Ran/);
    const priceless = { ...stop, usdPerHourMicros: undefined };
    assert.match(story([priceless, decision()]), /Ran {5}12 min\n/);
  });

  it('says what was tried in vain, by which reason, and never that it was done', () => {
    const text = story([
      decision({
        podId: undefined,
        podName: undefined,
        usdPerHourMicros: undefined,
        failure: 'RunPod has no free GPU',
      }),
      { ...stop, failure: 'It has been given work meanwhile' },
    ]);
    assert.match(text, /A new pod NOT created\n/);
    assert.match(text, /Failed {2}RunPod has no free GPU/);
    assert.match(text, /podrelay-a1 NOT stopped/);
    assert.doesNotMatch(text, /(?<!NOT )(created|stopped)( at|\n)/);
  });

  it('keeps what the plan says of a pod instead, and of one that lost its GPU', () => {
    const instead = `${decision().because}; RunPod had none of the 2 before, so it is an RTX 4090 at $0.40/h`;
    assert.match(
      story([decision({ because: instead })]),
      /Choice {2}RTX A5000 as pod 2 at \$0\.30\/h; RunPod had none of the 2 before, so it is an RTX 4090 at \$0\.40\/h\n/,
    );
    const moved = `podrelay-x came back without a GPU; ${decision().because}`;
    assert.match(
      story([decision({ because: moved })]),
      /Why {5}podrelay-x came back without a GPU; 40 jobs would take 12 min\n {4}Choice {2}RTX A5000/,
    );
  });

  it('begins with what is done now, the limits and the budget', () => {
    const budget = "today's budget of $0.07 has $0.04 left";
    const head = story([], { next: wait(held), budget });
    assert.match(head, /Now {5}the budget has too little left, though 40 jobs would take 18 min\n/);
    assert.match(head, /Limit {3}up to 3 pods at one time, together at most \$2\.00\/h\n/);
    assert.match(head, /Budget {2}today's budget of \$0\.07 has \$0\.04 left\n/);
    assert.match(head, /No pod was started or stopped by itself yet\./);
    assert.match(story([]), /Now {5}nothing waits for a pod\n[\s\S]*Budget {2}none is set/);
  });

  it('says how to switch it on while it is off, and still what it did', () => {
    const off = story([stop], { maxPods: 0 });
    assert.match(off, /Now {5}off\. 'PodRelay: Start Pods Automatically…' switches it on\./);
    assert.doesNotMatch(off, /Limit|up to 0/);
    assert.match(off, /podrelay-a1 stopped/);
  });
});

describe('how long a pod ran', () => {
  it('counts from its last start that worked, and not over a stop that is in between', () => {
    assert.equal(ranMs(stop, [stop, decision()]), 12 * minute);
    const again = decision({ what: 'start', atMs: 20 * minute });
    assert.equal(ranMs(stop, [stop, again, decision()]), 2 * minute);
    const failed = decision({ what: 'start', atMs: 21 * minute, failure: 'no' });
    assert.equal(ranMs(stop, [stop, failed, decision()]), 12 * minute);
    assert.equal(ranMs(stop, [stop, { ...stop, atMs: 20 * minute }, decision()]), undefined, 'a person started it');
    assert.equal(ranMs(stop, [stop, decision({ podId: 'b2' })]), undefined);
    assert.equal(ranMs({ ...stop, failure: 'no' }, [decision()]), undefined);
  });
});

describe('why a pod runs or does not', () => {
  it('names who did it, whole, with no capital in the middle', () => {
    assert.equal(whyText(decision()), `started by PodRelay: ${decision().because}`);
    assert.match(
      whyText(decision({ because: 'Nothing that runs can do 3 jobs; x' })),
      /^started by PodRelay: nothing /,
    );
    assert.match(whyText(decision({ because: 'RunPod has it' })), /: RunPod has it$/);
    assert.match(whyText(stop), /^stopped by PodRelay: podrelay-a1 had no work/);
  });
});

describe('what automation does now', () => {
  const change = { because: 'Nothing that runs can do 3 jobs; RTX 4090 as pod 1', expected: nothing };

  it('says what is under way, what holds it, or nothing at all', () => {
    assert.equal(nowText(state()), undefined);
    assert.equal(nowText(state({ next: wait('No work waits for a pod') })), 'no work waits for a pod');
    assert.equal(
      nowText(state({ next: { do: 'create', candidates: [], ...change } })),
      'creating a pod: nothing that runs can do 3 jobs',
    );
    assert.equal(
      nowText(state({ next: { do: 'start', podId: 'a1', ...change } })),
      'starting a stopped pod: nothing that runs can do 3 jobs',
    );
    const idle = { do: 'stop', cause: 'idle', podId: 'a1', because: stop.because, expected: nothing } as const;
    assert.equal(nowText(state({ next: idle })), 'stopping a pod: podrelay-a1 had no work for 60 s');
    assert.equal(
      nowText(state({ hindrance: 'no RunPod API key is set', next: wait(held) })),
      'none is started: no RunPod API key is set',
    );
  });

  it('tells a hold by budget or by a setting from an ordinary wait', () => {
    assert.deepEqual(
      [wait(held), wait('1 job waits, but the limit is 3 pods'), undefined].map((next) =>
        isHeld({ hindrance: undefined, next }),
      ),
      [true, false, false],
    );
    assert.equal(isHeld({ hindrance: 'x', next: undefined }), true);
  });

  it('knows every setting and right that it needs', () => {
    const { settings } = readSettings(() => undefined);
    const on = { ...settings, 'fleet.maxPods': 2 };
    const of = (given: typeof on, isTrusted = true, hasKey = true): FleetState =>
      fleetState({ next: undefined }, given, isTrusted, hasKey);
    assert.deepEqual([of(on).hindrance, of(on).forbidden, of(on).maxPods], [undefined, false, 2]);
    assert.match(of(on, false).hindrance ?? '', /not trusted/);
    assert.match(of(on, true, false).hindrance ?? '', /no RunPod API key/);
    assert.match(of({ ...on, 'cloud.enabled': false }).hindrance ?? '', /switched off/);
    assert.match(of({ ...on, 'cloud.useAllPods': false }).hindrance ?? '', /useAllPods/);
    const own = of({ ...on, 'privacy.localOnly': true });
    assert.match(own.hindrance ?? '', /leave this machine/);
    assert.deepEqual([own.forbidden, of(on, false).forbidden], [true, true]);
  });
});

describe('the row of automatic pods', () => {
  it('says that it is off and leads to the choice, or how many of how many run and leads to the reasons', () => {
    const off = podFleetRow(state({ maxPods: 0 }), 0);
    assert.deepEqual([off.description, off.command?.id], ['off', commands.setUpFleet]);
    const on = podFleetRow(state({ next: wait(held) }), 1);
    assert.equal(on.description, '1 of 3 · the budget has too little left, though 40 jobs would take 18 min');
    assert.deepEqual([on.command?.id, on.icon?.id], [commands.showFleet, 'warning']);
    assert.match(on.tooltip ?? '', /up to 3 pods, together at most \\\$2\\\.00\/h/);
    assert.equal(podFleetRow(state({ maxPods: 1 }), 0).description, '0 of 1');
    assert.deepEqual([upToText(1), upToText(4)], ['up to 1 pod', 'up to 4 pods']);
  });

  it('is there instead of the welcome once pods may come', () => {
    const none = { hasKey: true, pods: known([], 0) };
    assert.equal(podsState({ ...none, fleet: state({ maxPods: 0 }) }), 'none');
    assert.equal(podsState({ ...none, fleet: state() }), 'listed');
    assert.equal(podsState({ ...none, hasKey: false, fleet: state() }), 'noKey');
    assert.equal(podsState({ hasKey: true, pods: unknown(0), fleet: state({ maxPods: 0 }) }), 'listed');
  });
});

describe('the offer in the Jobs view', () => {
  const queued = (waitsFor: string | undefined): QueueJob => ({ state: 'queued', waitsFor }) as QueueJob;
  const view = (jobs: readonly QueueJob[], change: Partial<QueueView> = {}): QueueView => ({
    ...{ jobs, paused: false, leader: 'here', finishAt: undefined },
    counts: { queued: jobs.length, running: 0, done: 0, failed: 0, lost: 0, cancelled: 0 },
    ...change,
  });
  const stuck = view([queued('Local ComfyUI: connection refused'), queued('Local ComfyUI: connection refused')]);
  const off = state({ maxPods: 0 });
  const ids = (seen: QueueView, fleet: FleetState): readonly string[] => jobsFleetRows(seen, fleet).map(({ id }) => id);

  it('is made when jobs wait and no backend can run them', () => {
    const [row] = jobsFleetRows(stuck, off);
    assert.deepEqual([row?.id, row?.command?.id], ['jobs:offer', commands.setUpFleet]);
  });

  it('is not made while anything can run or runs, while the queue is held, nor against a decision', () => {
    assert.deepEqual(ids(view([queued(undefined), queued('x')]), off), []);
    assert.deepEqual(ids(view([]), off), []);
    assert.deepEqual(ids({ ...stuck, paused: true }, off), []);
    assert.deepEqual(ids({ ...stuck, counts: { ...stuck.counts, running: 1 } }, off), []);
    assert.deepEqual(ids(stuck, { ...off, forbidden: true }), []);
  });

  it('gives way to what automation does about it', () => {
    const [row, ...more] = jobsFleetRows(stuck, state({ next: wait(held) }));
    assert.deepEqual([row?.id, row?.icon?.id, more.length], ['jobs:fleet', 'warning', 0]);
    assert.match(row?.description ?? '', /^the budget has too little left/);
    assert.deepEqual(ids(stuck, state()), [], 'nothing is known yet');
  });
});
