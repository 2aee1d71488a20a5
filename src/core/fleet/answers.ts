import { Fault } from '../kernel/fault.ts';
import type { Clock } from '../kernel/ports.ts';
import type { Pod } from '../runpod/pod.ts';
import type { ComfyAnswer, ComfyProbe } from './comfyProbe.ts';

/** In which run each pod's ComfyUI has answered: after that its silence is an outage, and no longer a boot. */
export class Answers {
  readonly #runs = new Map<string, number | undefined>();

  note(pod: Pod): void {
    this.#runs.set(pod.id, pod.startedAtMs);
  }

  has(pod: Pod): boolean {
    return this.#runs.has(pod.id) && this.#runs.get(pod.id) === pod.startedAtMs;
  }
}

/**
 * A proxy that answers for a dead ComfyUI is decisive soon; a ComfyUI that loads a model is silent for longer (comfyui.md
 * 6.1: its event loop is held up), at 5 s a try.
 */
const refusals = 3;
const silences = 6;

/**
 * Asks a ComfyUI that has answered before once more, a few times.
 * @throws Fault 'unavailable' when it stays away
 */
export async function askAgain(
  deps: { readonly probe: ComfyProbe; readonly clock: Clock; readonly pollMs: number },
  url: string,
  first: ComfyAnswer,
  signal: AbortSignal,
): Promise<Extract<ComfyAnswer, { ready: true }>> {
  let answer = first;
  for (let refused = 0, silent = 0; !answer.ready;) {
    if (answer.why.kind === 'timeout') silent += 1;
    else refused += 1;
    if (refused >= refusals || silent >= silences) {
      throw new Fault('unavailable', `The pod runs, but its ComfyUI no longer answers (${answer.why.message})`, {
        delivered: 'no',
        nextStep: 'Restart the pod, or look into its log.',
      });
    }
    await deps.clock.sleep(deps.pollMs, signal);
    answer = await deps.probe(url, signal);
  }
  return answer;
}
