import type { FleetPolicy } from '../src/core/fleet/fleetScene.ts';
import { clairvoyantMicros } from '../test/simulation/clairvoyant.ts';
import { simulate } from '../test/simulation/fleetWorld.ts';
import type { Outcome } from '../test/simulation/setup.ts';
import { fairWeather, offers } from '../test/simulation/market.ts';
import { drainPolicy, fixedPolicy, queueDelayPolicy, queueLengthPolicy } from '../test/simulation/policies.ts';
import { burstyDay, dayMs, poisson } from '../test/simulation/traces.ts';
import type { Arrival } from '../test/simulation/traces.ts';
import { quantile } from './measurement.ts';
import type { Bench } from './measurement.ts';

/** Days that no number of the policy was chosen by. */
const seeds = Array.from({ length: 40 }, (_, index) => 2_001 + index);
const card = offers.find(({ gpu }) => gpu === 'RTX 4090')!;
/** Of a pod that was just created: the 75th percentile. */
const usualBootSeconds = card.bootSeconds.first * (0.85 + 0.75 * (fairWeather.slowBoot - 0.85));
/** Who knows the future keeps to it too: each job begins so soon after it came. */
const promisedSeconds = card.bootSeconds.again;

interface Rule {
  readonly name: string;
  readonly policy: FleetPolicy;
  readonly podsAtStart: number;
}

const rules: readonly Rule[] = [
  { name: 'drain time', policy: drainPolicy, podsAtStart: 0 },
  { name: 'queue delay 4 s', policy: queueDelayPolicy, podsAtStart: 0 },
  { name: 'queue length', policy: queueLengthPolicy, podsAtStart: 0 },
  { name: '1 pod always', policy: fixedPolicy(1), podsAtStart: 1 },
  { name: '4 pods always', policy: fixedPolicy(4), podsAtStart: 4 },
];

/** Days of work in bursts, by the real plan, reconciler and dispatcher on a virtual clock; the cost with all disks. */
export const fleetCost: Bench = {
  name: 'fleetCost',
  async measure() {
    const { drain, single, four, bound } = await played('a bursty day', burstyDay);
    const steady = await played('a job every 2 min', (seed) => poisson(seed, 120_000));
    const what = 'bursty day by drain time:';
    return [
      {
        what: `${what} cost, of one pod always on`,
        judge: 'max',
        under: 30,
        unit: '%',
        samples: drain.map((one, index) => (100 * totalMicros(one)) / totalMicros(single[index]!)),
      },
      {
        what: `${what} cost, of as many pods always on`,
        judge: 'max',
        under: 30,
        unit: '%',
        samples: drain.map((one, index) => (100 * totalMicros(one)) / totalMicros(four[index]!)),
      },
      {
        what: `${what} p95 wait over one pod always on, of one usual boot`,
        judge: 'max',
        under: 1,
        unit: 'times',
        samples: drain.map((one, index) => addedWait(one, single[index]!) / usualBootSeconds),
      },
      {
        what: `${what} GPU cost, of a clairvoyant's least`,
        judge: 'max',
        under: 2,
        unit: 'times',
        samples: drain.map((one, index) => one.gpuMicros / bound[index]!),
      },
      {
        what: 'a job every 2 min by drain time: the same',
        judge: 'max',
        under: 2,
        unit: 'times',
        samples: steady.drain.map((one, index) => one.gpuMicros / steady.bound[index]!),
      },
    ];
  },
};

/** The same days by every rule; prints them side by side. */
async function played(name: string, trace: (seed: number) => readonly Arrival[]) {
  const days = await Promise.all(
    seeds.map(async (seed) => {
      const arrivals = trace(seed);
      const outcomes = await Promise.all(rules.map((rule) => day(seed, arrivals, rule)));
      return { outcomes, boundMicros: clairvoyantMicros(arrivals, [card], promisedSeconds) };
    }),
  );
  const column = (rule: number): readonly Outcome[] => days.map(({ outcomes }) => outcomes[rule]!);
  const bound = days.map(({ boundMicros }) => boundMicros);
  const [drain, single, four] = [column(0), column(3), column(4)];
  console.log(
    `\n${comparison(
      name,
      rules.map((rule, index) => row(rule.name, column(index), { single, four, bound })),
    )}`,
  );
  return { drain, single, four, bound };
}

async function day(seed: number, arrivals: readonly Arrival[], { policy, podsAtStart }: Rule): Promise<Outcome> {
  const pods = Array.from({ length: podsAtStart }, () => card);
  const setup = { seed, arrivals, offers: [card], policy, weather: fairWeather, podsAtStart: pods };
  const outcome = await simulate(setup, dayMs);
  if (outcome.ended !== outcome.jobs || outcome.violations.length > 0) throw new Error(outcome.violations.join('; '));
  return outcome;
}

function totalMicros({ gpuMicros, diskMicros }: Outcome): number {
  return gpuMicros + diskMicros;
}

/** Of the same jobs on the same day, 95th percentile. */
function addedWait(outcome: Outcome, other: Outcome): number {
  return quantile(
    outcome.waits.map((wait, index) => wait - (other.waits[index] ?? 0)),
    0.95,
  );
}

interface Beside {
  readonly single: readonly Outcome[];
  readonly four: readonly Outcome[];
  readonly bound: readonly number[];
}

function row(name: string, outcomes: readonly Outcome[], { single, four, bound }: Beside): readonly string[] {
  const mean = (of: (outcome: Outcome, index: number) => number): number =>
    outcomes.reduce((sum, outcome, index) => sum + of(outcome, index), 0) / outcomes.length;
  return [
    name,
    `$${(mean(({ gpuMicros }) => gpuMicros) / 1e6).toFixed(2)}`,
    `$${(mean(({ diskMicros }) => diskMicros) / 1e6).toFixed(2)}`,
    mean(({ gpuMicros }, index) => gpuMicros / bound[index]!).toFixed(2),
    mean(({ launches }) => launches).toFixed(1),
    `${mean(({ waits }) => quantile(waits, 0.5)).toFixed(0)} s`,
    `${mean(({ waits }) => quantile(waits, 0.95)).toFixed(0)} s`,
    `${mean((outcome, index) => addedWait(outcome, single[index]!)).toFixed(0)} s`,
    `${mean((outcome, index) => addedWait(outcome, four[index]!)).toFixed(0)} s`,
  ];
}

function comparison(name: string, rows: readonly (readonly string[])[]): string {
  const headings = [
    name,
    'GPU',
    'disks',
    'GPU / bound',
    'launches',
    'wait p50',
    'wait p95',
    'p95 over 1 pod',
    'over 4',
  ];
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((cells) => cells[column]!.length)));
  return all
    .map((cells) => cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))))
    .map((cells) => `  ${cells.join('  ')}`)
    .join('\n');
}
