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

const size = { width: 820, height: 210, left: 52, bottom: 24, top: 10 };
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
  const plot = { width: size.width - size.left, height: size.height - size.top - size.bottom };
  const y = (micros: number): number => size.top + plot.height * (1 - micros / top);
  const step = plot.width / days.length;
  const x = (index: number): number => size.left + step * index;
  const lines = ticks.map(
    (micros) =>
      html`<line class="grid" x1="${size.left}" x2="${size.width}" y1="${px(y(micros))}" y2="${px(y(micros))}" />
        <text class="tick" x="${size.left - 8}" y="${px(y(micros) + 4)}" text-anchor="end">${tickText(micros)}</text>`,
  );
  const labels = days.map((day, index) =>
    (days.length - 1 - index) % labelEvery === 0
      ? html`<text
          class="tick"
          x="${px(Math.min(x(index) + step / 2, size.width - 22))}"
          y="${size.height - 6}"
          text-anchor="middle"
        >
          ${dayText(day.fromMs)}
        </text>`
      : html``,
  );
  const bars = days.map((day, index) => {
    let below = 0;
    const parts = shown
      .filter((kind) => day.micros[kind] > 0)
      .map((kind) => {
        const [from, to] = [below, below + day.micros[kind]];
        below = to;
        const height = Math.max(1, y(from) - y(to));
        return html`<rect
          class="bar ${kind}"
          x="${px(x(index) + (step * (1 - barShare)) / 2)}"
          y="${px(y(from) - height)}"
          width="${px(step * barShare)}"
          height="${px(height)}"
        />`;
      });
    return html`<g>
      <title>${titleOf(day, shown)}</title>
      <rect class="hit" x="${px(x(index))}" y="${size.top}" width="${px(step)}" height="${plot.height}" />
      ${parts}
    </g>`;
  });
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
      <svg
        class="chart"
        viewBox="0 0 ${size.width} ${size.height}"
        role="img"
        aria-label="Cost by day; the table below has the figures"
      >
        ${lines} ${bars} ${labels}
      </svg>
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

/** Ticks are round: cents only where they are needed. */
function tickText(micros: number): string {
  if (micros === 0) return '$0';
  return micros % 1_000_000 === 0 ? `$${String(micros / 1_000_000)}` : formatUsd(micros);
}

export function dayText(ms: number): string {
  return new Date(ms).toLocaleDateString(undefined, { month: 'short', day: 'numeric' });
}

function px(value: number): string {
  return value.toFixed(1);
}
