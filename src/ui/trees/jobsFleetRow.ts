import { commands } from '../../contract.ts';
import type { QueueView } from '../../core/queue/queueView.ts';
import { isHeld, nowText } from '../fleet/fleetState.ts';
import type { FleetState } from '../fleet/fleetState.ts';
import { plainMarkdown } from './row.ts';
import type { Row } from './row.ts';

/** While jobs wait and none runs: what automation does about it, or the offer to let it. */
export function jobsFleetRows({ counts, paused, jobs }: QueueView, fleet: FleetState): readonly Row[] {
  const isStuck = counts.queued > 0 && counts.running === 0 && !paused;
  if (!isStuck) return [];
  const now = nowText(fleet);
  if (fleet.maxPods > 0) {
    if (now === undefined) return [];
    return [
      {
        id: 'jobs:fleet',
        label: 'Automatic pods',
        description: now,
        icon: isHeld(fleet) ? { id: 'warning', color: 'list.warningForeground' } : { id: 'rocket' },
        tooltip: `${plainMarkdown(now)}\n\nClick for every start and stop with its reason.`,
        command: { id: commands.showFleet, title: 'Show Fleet Decisions' },
      },
    ];
  }
  const queued = jobs.filter(({ state }) => state === 'queued');
  const canNone = queued.length > 0 && queued.every(({ waitsFor }) => waitsFor !== undefined);
  // A key that lacks is asked for; trust and 'local only' are decisions that an offer must not question.
  if (!canNone || fleet.forbidden) return [];
  return [
    {
      id: 'jobs:offer',
      label: 'Start pods for these jobs…',
      icon: { id: 'rocket', color: 'charts.blue' },
      tooltip:
        'No backend can run them now\\. PodRelay can start GPU pods of your RunPod account for jobs that wait, and stop them when the work is done\\.',
      command: { id: commands.setUpFleet, title: 'Start Pods Automatically…' },
    },
  ];
}
