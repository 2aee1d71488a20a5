import type { PodService } from '../../core/fleet/podService.ts';
import { toFault } from '../../core/kernel/fault.ts';
import type { Clock } from '../../core/kernel/ports.ts';
import { logLineText } from './podLogsText.ts';

export interface PodLogsServices {
  readonly pods: Pick<PodService, 'logs'>;
  readonly clock: Clock;
  /** Takes keys out of a text. */
  readonly redact: (text: string) => string;
}

/** Past lines that a log begins with. */
const tail = 500;
/** Lines that come together are shown together: a pod that starts writes thousands. */
const showEveryMs = 100;

/** Appends the log of a pod or a worker, line by line, until it ends or the signal says so; and says which. Never throws. */
export async function followPodLog(
  { pods, clock, redact }: PodLogsServices,
  { id, name }: { readonly id: string; readonly name: string },
  append: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const waiting: string[] = [];
  const show = (): void => {
    if (waiting.length > 0) append(waiting.splice(0).join(''));
  };
  let showing = false;
  const add = (line: string): void => {
    waiting.push(`${redact(line)}\n`);
    if (showing) return;
    showing = true;
    const done = (): void => {
      showing = false;
      show();
    };
    // An end of the wait is the end of the log: what is left is shown below.
    clock.sleep(showEveryMs, signal).then(done, () => undefined);
  };
  const note = (text: string): void => add(`── ${text} ──`);

  note(`Log of ${name} (${id})`);
  try {
    for await (const line of pods.logs(id, { tail }, signal)) add(logLineText(line));
    note('The log has ended: its machine is gone, or the log no longer answers');
  } catch (error) {
    const { kind, message } = toFault(error);
    note(kind === 'cancelled' ? 'No longer followed' : `The log broke off: ${message}`);
  }
  show();
}
