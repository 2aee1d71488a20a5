import { formatUsd } from '../../core/cost/price.ts';
import { html } from '../html.ts';
import type { Markup } from '../html.ts';
import { costKinds } from './costDays.ts';
import type { CostDay, CostKind } from './costDays.ts';

export const kindNames: Readonly<Record<CostKind, string>> = {
  pods: 'RunPod pods',
  disks: 'Disks of pods',
  serverless: 'RunPod endpoints',
  gemini: 'Gemini',
};

/** Of the drawing, which is stretched to the width that there is; text stands beside it. */
const size = { width: 600, height: 180 };
/** Of a bar, in the way of its day. */
const barShare = 0.72;
const labelEvery = 5;

/** Bars by day, stacked by what the money went to, and the same as a table. Without a script. */
export function costChart(days: readonly CostDay[]): Markup {
  const shown = costKinds.filter((kind) => days.some((day) => day.micros[kind] > 0));
  const most = Math.max(...days.map(({ totalMicros }) => totalMicros), 0);
  if (most === 0) {
    return html`<h2>By day</h2>
      <p class="note">Nothing was spent in the last ${days.length} days.</p>`;
  }
  const ticks = ticksUpTo(most);
  const top = ticks.at(-1) ?? most;
  const y = (micros: number): number => size.height * (1 - micros / top);
  const step = size.width / days.length;
  const lines = ticks.map(
    (micros) => html`<line class="grid" x1="0" x2="${size.width}" y1="${px(y(micros))}" y2="${px(y(micros))}" />`,
  );
  const bars = days.map((day, index) => {
    let below = 0;
    const parts = shown
      .filter((kind) => day.micros[kind] > 0)
      .map((kind) => {
        const [from, to] = [below, below + day.micros[kind]];
        below = to;
        const height = Math.max(1, y(from) - y(to));
        const [x, width] = [step * (index + (1 - barShare) / 2), step * barShare];
        return html`<rect
          class="bar ${kind}"
          x="${px(x)}"
          y="${px(y(from) - height)}"
          width="${px(width)}"
          height="${px(height)}"
        />`;
      });
    return html`<g>
      <title>${titleOf(day, shown)}</title>
      <rect class="hit" x="${px(step * index)}" y="0" width="${px(step)}" height="${size.height}" />
      ${parts}
    </g>`;
  });
  const tickLabels = ticks.toReversed().map((micros) => html`<span>${tickText(micros, ticks[1] ?? top)}</span>`);
  const dayLabels = days
    .filter((_, index) => (days.length - 1 - index) % labelEvery === 0)
    .map(({ fromMs }) => html`<span>${dayText(fromMs)}</span>`);
  const sum = days.reduce((all, { totalMicros }) => all + totalMicros, 0);
  return html`<h2>By day</h2>
    <figure>
      <figcaption>
        <span>${formatUsd(sum)} in the last ${days.length} days</span>
        <ul class="legend">
          ${shown.map(
            (kind) =>
              html`<li>
                <svg class="key" viewBox="0 0 10 10" aria-hidden="true">
                  <rect class="bar ${kind}" width="10" height="10" /></svg
                >${kindNames[kind]}
              </li>`,
          )}
        </ul>
      </figcaption>
      <div class="plot">
        <div class="ticks" aria-hidden="true">${tickLabels}</div>
        <svg
          class="chart"
          viewBox="0 0 ${size.width} ${size.height}"
          preserveAspectRatio="none"
          role="img"
          aria-label="Cost by day; the table below has the figures"
        >
          ${lines} ${bars}
        </svg>
        <div class="days" aria-hidden="true">${dayLabels}</div>
      </div>
    </figure>
    <details>
      <summary>As a table</summary>
      ${dayTable(days, shown)}
    </details>`;
}

function dayTable(days: readonly CostDay[], shown: readonly CostKind[]): Markup {
  const rows = days
    .filter(({ totalMicros }) => totalMicros > 0)
    .toReversed()
    .map(
      (day) =>
        html`<tr>
          <th scope="row">${dayText(day.fromMs)}</th>
          ${shown.map((kind) => html`<td class="money">${formatUsd(day.micros[kind])}</td>`)}
          <td class="money">${formatUsd(day.totalMicros)}</td>
        </tr>`,
    );
  return html`<table>
    <thead>
      <tr>
        <th scope="col">Day</th>
        ${shown.map((kind) => html`<th scope="col" class="money">${kindNames[kind]}</th>`)}
        <th scope="col" class="money">Together</th>
      </tr>
    </thead>
    <tbody>
      ${rows}
    </tbody>
  </table>`;
}

function titleOf(day: CostDay, shown: readonly CostKind[]): string {
  const parts = shown
    .filter((kind) => day.micros[kind] > 0)
    .map((kind) => `${kindNames[kind]} ${formatUsd(day.micros[kind])}`);
  const detail =
    parts.length > 1
      ? ` (${parts.join(', ')})`
      : parts.length === 1
        ? ` (${parts[0]?.replace(/ \S+$/, '') ?? ''})`
        : '';
  return `${dayText(day.fromMs)}: ${formatUsd(day.totalMicros)}${detail}`;
}

/** Round steps of 1, 2 or 5, four to six of them; the last is not below the highest bar. */
export function ticksUpTo(micros: number): readonly number[] {
  const rough = micros / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  return Array.from({ length: Math.ceil(micros / step - 1e-9) + 1 }, (_, index) => index * step);
}

/** Ticks are round: no more digits than the step between them needs. */
export function tickText(micros: number, stepMicros: number): string {
  if (micros === 0) return '$0';
  const digits = stepMicros >= 1_000_000 ? 0 : Math.max(2, Math.ceil(6 - Math.log10(stepMicros) - 1e-9));
  return `$${(micros / 1_000_000).toFixed(digits)}`;
}

export function dayText(ms: number): string {
  return new Date(ms).toLocaleDateString(undefined, { month: 'short', day: 'numeric' });
}

function px(value: number): string {
  return value.toFixed(1);
}
