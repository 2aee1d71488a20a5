import { commands } from '../../contract.ts';
import type { BillComparison, BillDay, DriftReason } from '../../core/cost/compareBill.ts';
import { formatUsd } from '../../core/cost/price.ts';
import { html } from '../html.ts';
import type { Markup } from '../html.ts';

export type BillState =
  | { readonly is: 'unasked' }
  | { readonly is: 'asking' }
  /** A sentence. */
  | { readonly is: 'unknown'; readonly why: string }
  | { readonly is: 'known'; readonly comparison: BillComparison };

/** RunPod's bill beside the ledger, by day, with what the difference is made of. */
export function billTable(state: BillState): Markup {
  return html`<h2 id="bill">RunPod's bill</h2>
    ${body(state)}
    <p class="actions">
      <a class="button" href="command:${commands.compareBill}"
        >${state.is === 'known' || state.is === 'unknown' ? 'Compare Again' : "Compare with RunPod's Bill"}</a
      >
    </p>`;
}

function body(state: BillState): Markup {
  switch (state.is) {
    case 'unasked':
      return html`<p class="note">RunPod tells day by day what it billed; here it is put beside what was counted.</p>`;
    case 'asking':
      return html`<p class="note" role="status">RunPod is asked for its bill…</p>`;
    case 'unknown':
      return html`<p class="banner" role="status">RunPod's bill is not known: ${state.why}</p>`;
    case 'known':
      return comparison(state.comparison);
  }
}

function comparison({ days, billedMicros, ledgerMicros, reasons }: BillComparison): Markup {
  const shown = days.filter((day) => day.billedMicros > 0 || day.ledgerMicros > 0);
  if (shown.length === 0) {
    return html`<p class="note">Neither RunPod nor PodRelay knows of any cost in the last ${days.length} days.</p>`;
  }
  return html`<table>
      <thead>
        <tr>
          <th scope="col">Day (UTC)</th>
          <th scope="col" class="money">Billed</th>
          <th scope="col" class="money">Counted here</th>
          <th scope="col" class="money">Drift</th>
          <th scope="col" class="money"></th>
        </tr>
      </thead>
      <tbody>
        ${shown.map(dayRow)}
        <tr class="total">
          <th scope="row">${days.length} days</th>
          ${figures(billedMicros, ledgerMicros)}
        </tr>
      </tbody>
    </table>
    ${
      reasons.length === 0
        ? html`<p class="note">Both agree.</p>`
        : html`<ul class="reasons">
            ${reasons.map((reason) => html`<li><span class="money">${signed(reason.micros)}</span> ${reasonText(reason)}</li>`)}
          </ul>`
    }`;
}

function dayRow({ fromMs, billedMicros, ledgerMicros, isOpen }: BillDay): Markup {
  const day = new Date(fromMs).toLocaleDateString(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' });
  return html`<tr>
    <th scope="row">${day}${isOpen ? html` <span class="note">so far; RunPod is some minutes behind</span>` : ''}</th>
    ${figures(billedMicros, ledgerMicros)}
  </tr>`;
}

function figures(billedMicros: number, ledgerMicros: number): Markup {
  const drift = billedMicros - ledgerMicros;
  return html`<td class="money">${formatUsd(billedMicros)}</td>
    <td class="money">${formatUsd(ledgerMicros)}</td>
    <td class="money">${signed(drift)}</td>
    <td class="money">${driftPercent(billedMicros, ledgerMicros)}</td>`;
}

/** Of less, a share says nothing. */
const leastBilledMicros = 10_000;

/** '+1.3 %' of what is billed; empty where next to nothing is. */
export function driftPercent(billedMicros: number, ledgerMicros: number): string {
  if (billedMicros < leastBilledMicros) return '';
  const share = ((billedMicros - ledgerMicros) / billedMicros) * 100;
  const rounded = Math.abs(share) < 0.05 ? 0 : share;
  return `${rounded > 0 ? '+' : rounded < 0 ? '−' : ''}${Math.abs(rounded).toFixed(1)} %`;
}

function signed(micros: number): string {
  if (Math.abs(micros) < 500) return '$0.00';
  return `${micros > 0 ? '+' : micros < 0 ? '−' : ''}${formatUsd(Math.abs(micros))}`;
}

export function reasonText({ cause, micros, pods }: DriftReason): string {
  const count = pods.length === 1 ? '1 pod' : `${String(pods.length)} pods`;
  switch (cause) {
    case 'otherPods':
      return `${count} that PodRelay has not seen on this machine: ${list(pods)}`;
    case 'notBilled':
      return `${count} counted here that the bill does not have yet: ${list(pods)}`;
    case 'podTime':
      return micros > 0
        ? 'pod time that was billed and not seen here: a pod ran on while no window was open'
        : 'pod time that was counted here and not billed (yet): RunPod is some minutes behind, and where nobody saw a pod stop, the longest time is assumed';
    case 'disks':
      return 'disks of pods: counted by the price list, and while they were seen';
    case 'networkVolumes':
      return 'network volumes, which are not counted here';
    case 'otherServices':
      return micros > 0 ? 'serverless and other services of RunPod' : 'endpoint jobs that the bill does not have yet';
  }
}

const mostNames = 4;

function list(names: readonly string[]): string {
  const more = names.length - mostNames;
  return more > 0 ? `${names.slice(0, mostNames).join(', ')} and ${String(more)} more` : names.join(', ');
}
