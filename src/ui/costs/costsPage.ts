import { commands } from '../../contract.ts';
import type { BudgetUse } from '../../core/cost/budget.ts';
import type { Spend } from '../../core/cost/ledger.ts';
import { formatUsd, formatUsdPerHour } from '../../core/cost/price.ts';
import type { LedgerEntry } from '../../core/store/ledgerStore.ts';
import { html } from '../html.ts';
import type { Markup } from '../html.ts';
import { billTable } from './billTable.ts';
import type { BillState } from './billTable.ts';
import { budgetBars } from './budgetBars.ts';
import { costChart } from './costChart.ts';
import type { CostDay } from './costDays.ts';
import type { CostReport, Periods, PodCost } from './costReport.ts';

export interface CostsPageInput {
  /** A sentence instead of a report when the records cannot be read. */
  readonly report: (CostReport & { readonly days: readonly CostDay[] }) | { readonly unknown: string };
  /** Undefined = not known. */
  readonly budgets: readonly BudgetUse[] | undefined;
  readonly bill: BillState;
  /** All pods that bill now; undefined = not known. */
  readonly runningUsdPerHourMicros: number | undefined;
  readonly demo: boolean;
  readonly cspSource: string;
  readonly styleUri: string;
}

const backendNames: Readonly<Record<string, string>> = {
  local: 'Local ComfyUI',
  cloud: 'RunPod (pods that were not observed)',
  gemini: 'Gemini',
};

/** As jobs are recorded: pods and endpoints by their ids. */
function backendName(id: string): string {
  const [kind, own] = id.split(':', 2);
  if (own === undefined) return backendNames[id] ?? id;
  return kind === 'endpoint' ? `RunPod endpoint ${own}` : `RunPod pod ${own}`;
}

/** The costs as a page without scripts. What is not known is said, and never shown as nothing. */
export function costsPage(input: CostsPageInput): string {
  const { report, cspSource, styleUri, demo } = input;
  const body = 'unknown' in report ? unknownBody(report.unknown) : reportBody(report, input);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src ${cspSource}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <link rel="stylesheet" href="${styleUri}" />
        <title>Costs</title>
      </head>
      <body>
        <main>
          <h1>Costs</h1>
          ${demo ? html`<p class="banner">Demo: the prices are RunPod's and Google's, the money is not real.</p>` : ''}
          ${body}
        </main>
      </body>
    </html>`.text;
}

function unknownBody(why: string): Markup {
  return html`<p class="banner">What was spent is unknown: ${why}</p>
    <p><a href="command:${commands.showLog}">Show Log</a></p>`;
}

function reportBody(
  report: CostReport & { readonly days: readonly CostDay[] },
  { runningUsdPerHourMicros, budgets, bill }: CostsPageInput,
): Markup {
  const { total, entries, older } = report;
  return html`<section class="tiles" aria-label="Sums">
      ${tile('Session', total.session, 'since this window opened')} ${tile('Today', total.day, 'since midnight')}
      ${tile('This month', total.month, 'since the first')}
      <div class="tile">
        <h2>Running now</h2>
        <p class="sum">
          ${runningUsdPerHourMicros === undefined ? 'unknown' : formatUsdPerHour(runningUsdPerHourMicros)}
        </p>
        <p class="note">
          ${runningUsdPerHourMicros === undefined ? 'the pods were not looked at yet' : 'all pods together'}
        </p>
      </div>
    </section>
    ${budgetBars(budgets)} ${costChart(report.days)} ${backendTable(report)}
    ${report.pods.length === 0 ? '' : podTable(report.pods)} ${billTable(bill)}
    <h2>Newest entries</h2>
    ${entries.length === 0 ? html`<p class="note">Nothing was recorded this month.</p>` : entryTable(entries)}
    ${older === 0 ? '' : html`<p class="note">${older} older entries of this month are in the sums above.</p>`}
    <p class="actions"><a class="button" href="command:${commands.exportCosts}">Export as CSV</a></p>
    <p class="note">
      Pod time is counted to the second, up to the last look at the pods; disks of pods by RunPod's price list. Network
      volumes are not in these sums. RunPod's and Google's own bills are what you pay.
    </p>`;
}

function tile(name: string, spend: Spend, since: string): Markup {
  return html`<div class="tile">
    <h2>${name}</h2>
    <p class="sum">${formatUsd(spend.micros)}</p>
    <p class="note">${since}</p>
    ${spend.estimatedMicros === 0 ? '' : html`<p class="estimate">${estimatedPart(spend)}</p>`}
  </div>`;
}

/** 'all estimated', '$0.10 of it estimated' */
export function estimatedPart({ micros, estimatedMicros }: Spend): string {
  if (estimatedMicros === 0) return '';
  return estimatedMicros === micros ? 'all estimated' : `${formatUsd(estimatedMicros)} of it estimated`;
}

function backendTable({ backends, podTime }: CostReport): Markup {
  if (backends.length === 0 && podTime === undefined) return html``;
  const rows = backends.map(({ id, jobs, ...periods }) =>
    row(html`${backendName(id)}`, html`${jobText(jobs)}`, periods),
  );
  const pods =
    podTime === undefined
      ? []
      : [
          row(html`RunPod pods`, html`${jobText(podTime.jobs)}`, podTime),
          detail('of which jobs', podTime.workMicros),
          detail('boot', podTime.bootMicros),
          detail('idle, and work from elsewhere', podTime.restMicros),
          detail('disks, also of stopped pods', podTime.diskMicros, 'estimated'),
        ];
  return html`<h2>By backend</h2>
    ${table(['Backend', 'Jobs this month'], [...pods, ...rows])}`;
}

/** A part of the line above, of this month. */
function detail(what: string, micros: number, basis?: 'estimated'): Markup {
  return html`<tr class="detail">
    <td colspan="2">
      ${what}${basis === undefined || micros === 0 ? '' : html` <span class="estimate inline">${basis}</span>`}
    </td>
    <td colspan="2"></td>
    <td class="money">${formatUsd(micros)}</td>
  </tr>`;
}

function podTable(pods: readonly PodCost[]): Markup {
  const rows = pods.map(({ name, podId, ms, running, price, ...periods }) =>
    row(
      html`${name} <span class="note">${podId}</span>`,
      html`${timeText(ms)}${running ? html` <span class="live">runs now</span>` : ''}${priceText(price)}`,
      periods,
    ),
  );
  return html`<h2>By pod</h2>
    ${table(['Pod', 'Billed'], rows)}`;
}

/** What was quoted against what RunPod takes. */
function priceText(price: PodCost['price']): Markup {
  if (price === undefined) return html``;
  const { quotedUsdPerHourMicros: quoted, billedUsdPerHourMicros: billed } = price;
  const at = `at ${formatUsdPerHour(billed)}`;
  if (formatUsd(billed) === formatUsd(quoted)) return html`<span class="note below">${at}, as quoted</span>`;
  const percent = Math.abs(Math.round((billed / quoted - 1) * 100));
  const drift = `${percent} % ${billed > quoted ? 'more' : 'less'} than the quoted ${formatUsdPerHour(quoted)}`;
  return html`<span class="${billed > quoted ? 'estimate' : 'note below'}">${at}, ${drift}</span>`;
}

function table(head: readonly [string, string], rows: readonly Markup[]): Markup {
  return html`<table>
    <thead>
      <tr>
        <th scope="col">${head[0]}</th>
        <th scope="col">${head[1]}</th>
        <th scope="col" class="money">Session</th>
        <th scope="col" class="money">Today</th>
        <th scope="col" class="money">This month</th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

function row(name: Markup, detail: Markup, { session, day, month }: Periods): Markup {
  return html`<tr>
    <th scope="row">${name}</th>
    <td>${detail}</td>
    ${[session, day, month].map((spend) => html`<td class="money">${spendText(spend)}</td>`)}
  </tr>`;
}

function spendText(spend: Spend): Markup {
  const part = estimatedPart(spend);
  return html`${formatUsd(spend.micros)}${part === '' ? '' : html`<span class="estimate">${part}</span>`}`;
}

function entryTable(entries: readonly LedgerEntry[]): Markup {
  const rows = entries.map((entry) => {
    const part = { run: 'Pod', boot: 'Boot of pod', disk: 'Disks of pod' }[entry.part ?? 'run'];
    const what = entry.kind === 'pod' ? `${part} ${entry.label}` : `Job on ${backendName(entry.label)}`;
    const name = entry.kind === 'job' && entry.inPodTime ? 'Job on a pod' : what;
    const ms = entry.toMs - entry.fromMs;
    return html`<tr>
      <td class="when">${whenText(entry.toMs)}</td>
      <td>${name}${entry.note === undefined ? '' : html`<span class="note below">${entry.note}</span>`}</td>
      <td>${ms === 0 ? '' : timeText(ms)}</td>
      <td class="money">
        ${formatUsd(entry.micros)}${entry.basis === 'estimated' ? html`<span class="estimate">estimated</span>` : ''}
        ${entry.inPodTime ? html`<span class="note below">in the pod's time</span>` : ''}
      </td>
    </tr>`;
  });
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Until</th>
        <th scope="col">What</th>
        <th scope="col">Time</th>
        <th scope="col" class="money">Cost</th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

function jobText(jobs: number): string {
  return jobs === 1 ? '1 job' : `${jobs} jobs`;
}

/** '45 s', '12 min', '3 h 5 min' */
export function timeText(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1_000)} s`;
  const minutes = Math.round(ms / 60_000);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return [hours > 0 ? `${hours} h` : '', rest > 0 ? `${rest} min` : ''].filter((part) => part !== '').join(' ');
}

function whenText(ms: number): string {
  return new Date(ms).toLocaleString(undefined, {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
  });
}
