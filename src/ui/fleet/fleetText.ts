import { formatUsd, formatUsdPerHour, podTimeMicros } from '../../core/cost/price.ts';
import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';
import { durationText } from '../../core/queue/dispatch.ts';
import { nowText, ranMs, splitReason, upToText } from './fleetState.ts';
import type { FleetState } from './fleetState.ts';

const done = { start: 'started', create: 'created', stop: 'stopped' } as const;
const tried = { start: 'NOT started', create: 'NOT created', stop: 'NOT stopped' } as const;

export interface FleetStory extends FleetState {
  /** Newest first. */
  readonly decisions: readonly FleetDecision[];
  /** Of the budget with the least left: "today's budget of $1.00 has $0.20 left"; undefined = none is set. */
  readonly budget: string | undefined;
  readonly timeText: (ms: number) => string;
}

/** What automation does and did with pods, as a text to be read. */
export function fleetText(story: FleetStory): string {
  const { decisions } = story;
  const entries = decisions.map((decision) => entry(decision, story));
  return [
    'Pods that PodRelay starts and stops by itself',
    '',
    ...headLines(story),
    '',
    decisions.length === 0 ? 'No pod was started or stopped by itself yet.' : 'Newest first:',
    ...entries.flatMap((lines) => ['', ...lines]),
    '',
  ].join('\n');
}

function headLines(story: FleetStory): readonly string[] {
  const { maxPods, maxUsdPerHourMicros, budget } = story;
  if (maxPods === 0) {
    return [...field('Now', "off. 'PodRelay: Start Pods Automatically…' switches it on.")];
  }
  const limit = `${upToText(maxPods)} at one time, together at most ${formatUsdPerHour(maxUsdPerHourMicros)}`;
  return [
    ...field('Now', nowText(story) ?? 'nothing waits for a pod'),
    ...field('Limit', limit),
    ...field('Budget', budget ?? 'none is set'),
  ];
}

function entry(decision: FleetDecision, { decisions, timeText }: FleetStory): readonly string[] {
  const { atMs, what, podName, podId, usdPerHourMicros, failure } = decision;
  const name = podName ?? podId ?? 'A new pod';
  const price = usdPerHourMicros === undefined ? '' : ` at ${formatUsdPerHour(usdPerHourMicros)}`;
  return [
    `${timeText(atMs)}   ${name} ${failure === undefined ? done[what] : tried[what]}${price}`,
    ...(what === 'stop' ? stopLines(decision, name) : launchLines(decision)),
    ...ranLines(decision, decisions),
    ...(failure === undefined ? [] : field('Failed', failure)),
  ];
}

function launchLines({ because, expected: { savedSeconds, micros } }: FleetDecision): readonly string[] {
  const clauses = because.split('; ');
  const found = clauses.findIndex((clause) => / as pod \d/.test(clause));
  const at = found < 0 ? 1 : found;
  const why = clauses.slice(0, at).join('; ');
  // What it saves and costs has a line of its own.
  const choice = clauses
    .slice(at)
    .join('; ')
    .replace(/ (?:saves [^$]*)?for about \$[\d.]+/, '');
  return [
    ...field('Why', why),
    ...(choice === '' ? [] : field('Choice', choice)),
    ...(savedSeconds === undefined ? [] : field('Saves', `${durationText(savedSeconds)}: all is done so much sooner`)),
    ...(micros === undefined ? [] : field('Costs', `about ${formatUsd(micros)}, its start and its idle time included`)),
  ];
}

function stopLines({ because, expected: { micros } }: FleetDecision, name: string): readonly string[] {
  const { reason, choice } = splitReason(because);
  const why = [reason, choice.replace(/, and \$[\d.]+\/h is saved$/, '')].filter((part) => part !== '').join('; ');
  return [
    ...field('Why', why.replaceAll(`${name} `, 'it ').replace(/^it /, 'It ')),
    ...(micros === undefined ? [] : field('Saves', `${formatUsd(-micros)} for each hour`)),
  ];
}

/** What a stopped pod has cost since it was started, by the clock. */
function ranLines(decision: FleetDecision, decisions: readonly FleetDecision[]): readonly string[] {
  const ms = ranMs(decision, decisions);
  if (ms === undefined) return [];
  const { usdPerHourMicros } = decision;
  const cost = usdPerHourMicros === undefined ? '' : `, about ${formatUsd(podTimeMicros(usdPerHourMicros, ms))}`;
  return field('Ran', `${durationText(ms / 1_000)}${cost}`);
}

function field(name: string, text: string): readonly string[] {
  return [`    ${name.padEnd(7)} ${text}`];
}
