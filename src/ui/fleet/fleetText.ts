import { formatUsd, formatUsdPerHour } from '../../core/cost/price.ts';
import type { FleetDecision } from '../../core/fleet/fleetDecision.ts';
import type { PlannedAction } from '../../core/fleet/fleetScene.ts';
import { durationText } from '../../core/queue/dispatch.ts';

const done = { start: 'started', create: 'created', stop: 'stopped' } as const;
const tried = { start: 'not started', create: 'not created', stop: 'not stopped' } as const;

export interface FleetStory {
  /** Newest first. */
  readonly decisions: readonly FleetDecision[];
  readonly next: PlannedAction | undefined;
  readonly maxPods: number;
  readonly timeText: (ms: number) => string;
}

/** What automation does and did with pods, as a text to be read. */
export function fleetText({ decisions, next, maxPods, timeText }: FleetStory): string {
  const limit = maxPods === 0 ? 'no pods: podrelay.fleet.maxPods is 0' : `up to ${String(maxPods)} at one time`;
  const lines = [`Pods that PodRelay starts by itself: ${limit}.`];
  if (next !== undefined) lines.push(`Now: ${next.because}.`);
  lines.push('');
  if (decisions.length === 0) lines.push('No pod was started or stopped by itself yet.');
  for (const decision of decisions) lines.push(...decisionLines(decision, timeText), '');
  return `${lines.join('\n').trimEnd()}\n`;
}

function decisionLines(decision: FleetDecision, timeText: FleetStory['timeText']): readonly string[] {
  const { atMs, what, podName, podId, usdPerHourMicros, because, failure } = decision;
  const name = podName ?? podId ?? 'a pod';
  const price = usdPerHourMicros === undefined ? '' : ` (${formatUsdPerHour(usdPerHourMicros)})`;
  const verb = failure === undefined ? done[what] : tried[what];
  const expected = expectedText(decision);
  return [
    `${timeText(atMs)}  ${name}${price} ${verb}`,
    `  why: ${because}`,
    ...(expected === undefined ? [] : [`  expected: ${expected}`]),
    ...(failure === undefined ? [] : [`  but: ${failure}`]),
  ];
}

function expectedText({ what, expected: { savedSeconds, micros } }: FleetDecision): string | undefined {
  const saved = savedSeconds === undefined ? [] : [`the queue ends ${durationText(savedSeconds)} sooner`];
  const cost =
    micros === undefined
      ? []
      : [what === 'stop' ? `${formatUsd(-micros)} saved for each hour` : `about ${formatUsd(micros)}`];
  const parts = [...saved, ...cost];
  return parts.length === 0 ? undefined : parts.join(', ');
}
