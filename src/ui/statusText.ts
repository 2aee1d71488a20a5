import type { Tier } from '../core/backends/backend.ts';
import type { BackendStatus } from '../core/backends/backendManager.ts';
import { budgetText, spentShare } from '../core/cost/budget.ts';
import type { BudgetName, BudgetUse } from '../core/cost/budget.ts';
import { formatUsd } from '../core/cost/price.ts';
import { backendIcon, stateName, stateOf } from './trees/backendRows.ts';
import { dotted, plainMarkdown } from './trees/row.ts';

export interface StatusSnapshot {
  /** In order of priority. */
  readonly statuses: readonly BackendStatus[];
  /** The backend that gets the next job. */
  readonly selected: string | undefined;
  readonly demo: boolean;
  readonly trusted: boolean;
  /** Something to run jobs on was set up, or was found. */
  readonly setUp: boolean;
  /** Micro-dollars per hour of all pods and workers that cost money now; undefined = not known. */
  readonly runningUsdPerHourMicros: number | undefined;
  /** Pods and workers that cost money, as last seen; undefined = not known. */
  readonly runningPods: readonly {
    readonly name: string;
    /** Where RunPod shows it; undefined = nowhere. */
    readonly link?: string | undefined;
    readonly gpu: string | undefined;
    readonly usdPerHourMicros: number | undefined;
  }[];
  /** Micro-dollars; undefined = not known. */
  readonly spent: { readonly session: number; readonly day: number; readonly month: number } | undefined;
  /** Those that are set and known. */
  readonly budgets: readonly BudgetUse[];
}

export interface StatusText {
  /** With codicons. */
  readonly text: string;
  /** Markdown with codicons. */
  readonly tooltip: string;
  readonly background: 'warning' | 'error' | undefined;
  /** For a screen reader. */
  readonly spoken: string;
}

const tierIcons: Readonly<Record<Tier, string>> = { local: 'vm-running', cloud: 'cloud', gemini: 'sparkle' };

/** The status bar item: where the next job goes, and what costs money now. */
export function statusText(snapshot: StatusSnapshot): StatusText {
  const { selected, demo, runningUsdPerHourMicros: rate } = snapshot;
  const perHour = `${usd(rate)}/h`;
  const tier = snapshot.statuses.find(({ backend }) => backend.id === selected)?.backend.tier;
  const [icon, name] = !snapshot.trusted
    ? ['shield', 'Restricted Mode']
    : !snapshot.setUp
      ? ['circle-slash', 'not set up']
      : tier === undefined
        ? ['error', 'no backend']
        : [tierIcons[tier], tier];
  const today = snapshot.spent !== undefined && snapshot.spent.day > 0 && `${usd(snapshot.spent.day)} today`;
  const gone = snapshot.budgets.find((use) => spentShare(use) >= 1);
  const words = dotted(demo && 'Demo', name, perHour, today, gone !== undefined && 'budget spent');
  return {
    text: `$(${icon}) ${words}`,
    tooltip: tooltip(snapshot, perHour),
    background: backgroundOf(snapshot),
    spoken: [
      `PodRelay${demo ? ' demo' : ''}: ${name}, running cost ${rate === undefined ? 'not known' : perHour}`,
      ...(gone === undefined ? [] : [`${budgetText(gone.name)} is spent`]),
    ].join(', '),
  };
}

/** Unknown is a dash, never a figure. */
export function usd(micros: number | undefined): string {
  return micros === undefined ? '$–' : formatUsd(micros);
}

/** Red only for what was seen: before the first check nothing is known, and nothing is wrong. */
function backgroundOf({
  selected,
  statuses,
  runningUsdPerHourMicros,
  runningPods,
  budgets,
  trusted,
  setUp,
}: StatusSnapshot): StatusText['background'] {
  const isOpen = trusted && setUp;
  const broken = statuses.some((status) => status.ready.ok && isOut(status));
  const hope = statuses.some((status) => status.ready.ok && !isOut(status));
  const spent = Math.max(0, ...budgets.map(spentShare));
  if ((isOpen && (selected === undefined || (broken && !hope))) || spent >= 1) return 'error';
  if (spent >= 0.8) return 'warning';
  if (runningUsdPerHourMicros === undefined && runningPods.length > 0) return 'warning';
  return undefined;
}

function isOut(status: BackendStatus): boolean {
  const state = stateOf(status);
  return state === 'unhealthy' || state === 'resting' || state === 'off';
}

function tooltip(snapshot: StatusSnapshot, perHour: string): string {
  const { statuses, selected, runningPods } = snapshot;
  const lines = statuses.map((status) => {
    const state = stateOf(status);
    const why = !status.ready.ok ? status.ready.why : status.health.known ? status.health.value.why : '';
    const next = snapshot.trusted && status.backend.id === selected ? ' **(next job)**' : '';
    const label = plainMarkdown(status.backend.label);
    // What stopped says that it is.
    const told = state === 'stopped' && why !== '' ? why : dotted(stateName(state), why);
    return `| $(${backendIcon(state).id}) | ${label}${next} | ${plainMarkdown(told)} |`;
  });
  const pods = runningPods.map(
    ({ name, link, gpu, usdPerHourMicros }) =>
      `| $(server) | ${linked(name, snapshot.demo ? undefined : link)} | ${plainMarkdown(gpu ?? '–')} · ${plainMarkdown(usd(usdPerHourMicros))}/h |`,
  );
  return [
    snapshot.demo ? '**PodRelay demo:** simulated services, no account, no cost' : '**PodRelay**',
    '',
    ...(snapshot.trusted ? [] : ['$(shield) Restricted Mode: nothing is run.', '']),
    '| | | |',
    '|:-:|:--|:--|',
    ...lines,
    `| $(pulse) | Running cost | ${plainMarkdown(perHour)} |`,
    ...pods,
    ...spentRows(snapshot),
  ].join('\n');
}

function linked(name: string, link: string | undefined): string {
  return link === undefined ? plainMarkdown(name) : `[${plainMarkdown(name)}](${link})`;
}

/** What was spent in each time against its budget, then the budgets of backends. */
function spentRows({ spent, budgets }: StatusSnapshot): readonly string[] {
  const against = (name: BudgetName, micros: number | undefined): string => {
    const use = budgets.find((one) => one.name === name);
    if (use === undefined) return plainMarkdown(usd(micros));
    const share = spentShare(use);
    const sign = share >= 1 ? ' $(error) spent' : share >= 0.8 ? ' $(warning)' : '';
    const figures = `${usd(use.spentMicros)} of ${usd(use.limitMicros)} (${Math.floor(share * 100)} %)`;
    return plainMarkdown(figures) + sign;
  };
  const row = (what: string, text: string): string => `| $(credit-card) | ${what} | ${text} |`;
  return [
    row('Spent in this session', against('session', spent?.session)),
    row('Spent today', against('day', spent?.day)),
    row('Spent this month', against('month', spent?.month)),
    ...budgets
      .filter(({ name }) => name === 'cloud' || name === 'gemini')
      .map(({ name, spentMicros }) =>
        row(name === 'cloud' ? 'RunPod this month' : 'Gemini this month', against(name, spentMicros)),
      ),
  ];
}
