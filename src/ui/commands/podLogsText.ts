import type { PodLogLine } from '../../core/runpod/podLogs.ts';

/** Colours and cursor movements of a terminal, which an output channel shows as rubbish. */

const terminalCodes = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;

/** '09:02:11 system     pulling image'; a progress bar that drew over itself is shown as it last was. */
export function logLineText({ source, atMs, text }: PodLogLine): string {
  const last = text
    .replace(terminalCodes, '')
    .replace(/[\r\n]+$/, '')
    .split('\r')
    .at(-1);
  const time = atMs === undefined ? '        ' : new Date(atMs).toTimeString().slice(0, 8);
  return `${time} ${source.padEnd(9)} ${last ?? ''}`;
}
