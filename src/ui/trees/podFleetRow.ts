import { commands, viewItem } from '../../contract.ts';
import { formatUsdPerHour } from '../../core/cost/price.ts';
import { isHeld, nowText, upToText } from '../fleet/fleetState.ts';
import type { FleetState } from '../fleet/fleetState.ts';
import { dotted, plainMarkdown } from './row.ts';
import type { Row } from './row.ts';

/**
 * Whether pods come by themselves, and why none does now. Above the pods: it is what may start the next.
 * @param running pods of ours that cost GPU money
 */
export function podFleetRow(state: FleetState, running: number): Row {
  const { maxPods, maxUsdPerHourMicros } = state;
  const label = 'Automatic pods';
  const context = viewItem('fleet');
  if (maxPods === 0) {
    return {
      id: 'pods:fleet',
      label,
      description: 'off',
      icon: { id: 'rocket', color: 'disabledForeground' },
      tooltip: 'PodRelay can start pods when queued jobs would wait too long, and stop them when the work is done.',
      context,
      spoken: 'Automatic pods, off',
      command: { id: commands.setUpFleet, title: 'Start Pods Automatically…' },
    };
  }
  const now = nowText(state);
  const limit = `${upToText(maxPods)}, together at most ${formatUsdPerHour(maxUsdPerHourMicros)}`;
  return {
    id: 'pods:fleet',
    label,
    description: dotted(`${String(running)} of ${String(maxPods)}`, now),
    icon: isHeld(state) ? { id: 'warning', color: 'list.warningForeground' } : { id: 'rocket' },
    tooltip: [
      `**${label}:** ${plainMarkdown(limit)}`,
      ...(now === undefined ? [] : [`**Now:** ${plainMarkdown(now)}`]),
      'Click for every start and stop with its reason.',
    ].join('\n\n'),
    context,
    spoken: `Automatic pods, ${String(running)} running, ${limit}${now === undefined ? '' : `. Now: ${now}`}`,
    command: { id: commands.showFleet, title: 'Show Fleet Decisions' },
  };
}
