import { tiers } from '../backends/backend.ts';
import type { Tier } from '../backends/backend.ts';
import { Fault } from '../kernel/fault.ts';
import type { Settings } from '../settings.ts';
import type { Period } from './periods.ts';
import { formatUsd } from './price.ts';

export const budgetNames = ['session', 'day', 'month', 'cloud', 'gemini'] as const;
/** Of all backends in that time; or of one tier in a month. */
export type BudgetName = (typeof budgetNames)[number];

/** Micro-dollars. */
export type ByTier = Readonly<Record<Tier, number>>;

/** What counts against budgets at one moment, in micro-dollars. */
export interface BudgetSums {
  readonly spent: Readonly<Record<Period, ByTier>>;
  /** Reserved and not spent yet. */
  readonly held: ByTier;
}

export interface BudgetUse {
  readonly name: BudgetName;
  readonly limitMicros: number;
  readonly spentMicros: number;
  readonly heldMicros: number;
}

export type BudgetSettings = Pick<
  Settings,
  'budget.sessionUsd' | 'budget.dayUsd' | 'budget.monthUsd' | 'budget.perBackendUsd'
>;

export const nothing: ByTier = { local: 0, cloud: 0, gemini: 0 };

/** Told once each, with the number of per cent. */
export const noticeMarks = [50, 80, 100] as const;
export type NoticeMark = (typeof noticeMarks)[number];

/** Whose money a ledger entry is: pods and endpoints are the cloud's. */
export function tierOf(kind: 'job' | 'pod', label: string): Tier {
  return (kind === 'job' && tiers.find((tier) => tier === label)) || 'cloud';
}

/** The limits that are set, in micro-dollars; a budget that is not set has none. */
export function limitsOf(settings: BudgetSettings): ReadonlyMap<BudgetName, number> {
  const each = settings['budget.perBackendUsd'];
  const usd: Readonly<Record<BudgetName, number | null | undefined>> = {
    session: settings['budget.sessionUsd'],
    day: settings['budget.dayUsd'],
    month: settings['budget.monthUsd'],
    cloud: each.cloud,
    gemini: each.gemini,
  };
  const set = budgetNames.map((name) => [name, usd[name]] as const);
  return new Map(
    set.flatMap(([name, value]) => (typeof value === 'number' ? [[name, Math.floor(value * 1_000_000)] as const] : [])),
  );
}

export function periodOf(name: BudgetName): Period {
  return name === 'session' || name === 'day' ? name : 'month';
}

export function usesOf(limits: ReadonlyMap<BudgetName, number>, { spent, held }: BudgetSums): readonly BudgetUse[] {
  return [...limits].map(([name, limitMicros]) => {
    const of = (sums: ByTier): number =>
      name === 'cloud' || name === 'gemini' ? sums[name] : tiers.reduce((sum, tier) => sum + sums[tier], 0);
    return { name, limitMicros, spentMicros: of(spent[periodOf(name)]), heldMicros: of(held) };
  });
}

/** What may still be asked for; never negative. */
export function leftMicros({ limitMicros, spentMicros, heldMicros }: BudgetUse): number {
  return Math.max(0, limitMicros - spentMicros - heldMicros);
}

/** 0 to 1 and beyond; a budget of 0 is spent from the start. */
export function spentShare({ limitMicros, spentMicros }: BudgetUse): number {
  return limitMicros === 0 ? 1 : spentMicros / limitMicros;
}

export function concerns({ name }: Pick<BudgetUse, 'name'>, tier: Tier): boolean {
  return name === tier || (name !== 'cloud' && name !== 'gemini');
}

/** The budget that forbids it, the one with the least left; undefined = none does. What costs money costs something. */
export function forbidding(uses: readonly BudgetUse[], tier: Tier, micros: number): BudgetUse | undefined {
  return uses
    .filter((use) => concerns(use, tier) && leftMicros(use) < Math.max(1, micros))
    .sort((a, b) => leftMicros(a) - leftMicros(b))[0];
}

/** As a person knows it, in the middle of a sentence. */
export function budgetText(name: BudgetName): string {
  const texts: Readonly<Record<BudgetName, string>> = {
    session: 'the budget of this session',
    day: "today's budget",
    month: "this month's budget",
    cloud: "this month's budget for RunPod",
    gemini: "this month's budget for Gemini",
  };
  return texts[name];
}

/**
 * @param what what was asked for, as a subject: 'This job'
 * @param micros what it costs, by all likelihood
 */
export function overBudget(use: BudgetUse, what: string, micros: number, mostMicros = micros): Fault {
  const held = use.heldMicros > 0 ? ` and ${formatUsd(use.heldMicros)} is reserved for what runs` : '';
  const of = `${budgetText(use.name)} of ${formatUsd(use.limitMicros)} has ${formatUsd(leftMicros(use))} left`;
  const most = mostMicros > micros ? `, ${formatUsd(mostMicros)} at most` : '';
  const price = micros > 0 ? `about ${formatUsd(micros)}${most}` : 'money';
  return new Fault('overBudget', `${what} costs ${price}, and ${of} (${formatUsd(use.spentMicros)} is spent${held})`, {
    delivered: 'no',
    nextStep: nextStepText(use),
  });
}

function nextStepText({ name }: BudgetUse): string {
  const wait: Readonly<Record<Period, string>> = {
    session: '',
    day: ' or wait until tomorrow',
    month: ' or wait until next month',
  };
  return `Raise it with 'PodRelay: Set Budget…'${wait[periodOf(name)]}.`;
}

/** The highest mark that is reached; undefined = below all. */
export function markOf(use: BudgetUse): NoticeMark | undefined {
  const percent = spentShare(use) * 100;
  return noticeMarks.findLast((mark) => percent >= mark);
}
