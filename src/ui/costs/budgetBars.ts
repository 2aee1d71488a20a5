import { commands } from '../../contract.ts';
import { noticeMarks, spentShare } from '../../core/cost/budget.ts';
import type { BudgetName, BudgetUse } from '../../core/cost/budget.ts';
import { formatUsd } from '../../core/cost/price.ts';
import { html } from '../html.ts';
import type { Markup } from '../html.ts';

export const budgetTitles: Readonly<Record<BudgetName, string>> = {
  session: 'This session',
  day: 'Today',
  month: 'This month',
  cloud: 'RunPod, this month',
  gemini: 'Gemini, this month',
};

const width = 300;

/** Each budget as a bar with marks at 50, 80 and 100 %: what is spent, and behind it what is reserved. */
export function budgetBars(uses: readonly BudgetUse[] | undefined): Markup {
  return html`<h2>Budgets</h2>
    ${
      uses === undefined
        ? html`<p class="note">What is left of the budgets is not known.</p>`
        : uses.length === 0
          ? html`<p class="note">No budget is set: nothing limits what is spent.</p>`
          : html`<table class="budgets">
              <tbody>
                ${uses.map(row)}
              </tbody>
            </table>`
    }
    <p class="actions"><a class="button" href="command:${commands.setBudget}">Set Budget…</a></p>`;
}

function row(use: BudgetUse): Markup {
  const share = spentShare(use);
  const state = share >= 1 ? 'spent' : share >= 0.8 ? 'near' : 'well';
  const x = (micros: number): string =>
    (width * Math.min(1, use.limitMicros === 0 ? 1 : micros / use.limitMicros)).toFixed(1);
  const words = { spent: 'spent: nothing new starts', near: 'nearly spent', well: '' }[state];
  const held = use.heldMicros > 0 ? `, ${formatUsd(use.heldMicros)} reserved` : '';
  return html`<tr>
    <th scope="row">${budgetTitles[use.name]}</th>
    <td>
      <svg class="budget ${state}" viewBox="0 0 ${width} 16" role="img" aria-label="${percent(share)} spent">
        <rect class="room" x="0" y="4" width="${width}" height="8" rx="2" />
        <rect class="held" x="0" y="4" width="${x(use.spentMicros + use.heldMicros)}" height="8" rx="2" />
        <rect class="used" x="0" y="4" width="${x(use.spentMicros)}" height="8" rx="2" />
        ${noticeMarks.map((mark) => {
          const at = Math.min((width * mark) / 100, width - 0.5);
          return html`<line class="mark" x1="${at}" x2="${at}" y1="1" y2="15" />`;
        })}
      </svg>
    </td>
    <td class="money">
      ${formatUsd(use.spentMicros)} of ${formatUsd(use.limitMicros)}${held}
      <span class="${state === 'well' ? 'note' : 'estimate'} below"
        >${percent(share)}${words === '' ? '' : ` · ${words}`}</span
      >
    </td>
  </tr>`;
}

function percent(share: number): string {
  return `${String(Math.floor(share * 100))} %`;
}
