import type { Disposable } from '../kernel/event.ts';
import { toFault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { AgentClient } from './agentClient.ts';

export interface PodLeasesOptions {
  /** The agent at a pod's address; undefined where there is none. */
  readonly agentAt: (address: string) => Promise<AgentClient | undefined>;
  readonly clock: Clock;
  readonly log: Log;
  /** This window, among those that may use the same pod. */
  readonly holder: string;
  readonly everyMs?: number;
}

/** Two renewals may fail before a lease runs out. */
const leaseRounds = 3;

/** Tells the agents of pods that this window uses them, every minute while it does. */
export class PodLeases implements Disposable {
  readonly #options: PodLeasesOptions;
  readonly #life = new Lifetime();
  readonly #held = new Map<string, { count: number; readonly stop: AbortController }>();

  constructor(options: PodLeasesOptions) {
    this.#options = options;
  }

  /** The pod at that address is in use until the returned thing is disposed. */
  hold(address: string): Disposable {
    const held = this.#held.get(address) ?? this.#begin(address);
    held.count += 1;
    let open = true;
    return {
      dispose: () => {
        if (!open) return;
        open = false;
        held.count -= 1;
        if (held.count > 0) return;
        this.#held.delete(address);
        held.stop.abort();
      },
    };
  }

  /**
   * When anyone used the pod at that address last, from a browser or another computer too; ms since the epoch. Undefined
   * = it has no agent, or that cannot be asked.
   */
  async lastUseAt(address: string): Promise<number | undefined> {
    const { agentAt, clock, log } = this.#options;
    try {
      const state = await (await agentAt(address))?.state(this.#life.signal);
      return state === undefined ? undefined : clock.now() - state.idleSeconds * 1_000;
    } catch (error) {
      log.debug(`The agent at ${address} cannot be asked: ${toFault(error).message}`);
      return undefined;
    }
  }

  /** What is held then runs out by itself: a window that closes may leave work behind. */
  dispose(): void {
    this.#life.dispose();
  }

  #begin(address: string): { count: number; readonly stop: AbortController } {
    const held = { count: 0, stop: new AbortController() };
    this.#held.set(address, held);
    this.#renew(address, held.stop.signal).catch((error: unknown) => {
      if (!this.#life.signal.aborted) this.#options.log.debug(`The lease of ${address}: ${toFault(error).message}`);
    });
    return held;
  }

  async #renew(address: string, stop: AbortSignal): Promise<void> {
    const { agentAt, clock, log, holder, everyMs = 60_000 } = this.#options;
    const agent = await agentAt(address);
    if (agent === undefined) return;
    const either = AbortSignal.any([stop, this.#life.signal]);
    while (!either.aborted) {
      try {
        await agent.lease(holder, (everyMs / 1_000) * leaseRounds, either);
      } catch (error) {
        const fault = toFault(error);
        // ComfyUI itself has answered: the image had no Python for the agent (agentFields.ts).
        if (fault.facts.status === 404 || fault.facts.status === 405) {
          log.warn(`The pod at ${address} has no agent: its ComfyUI is open to whoever knows that address`);
          return;
        }
        if (!either.aborted) log.debug(`The lease of ${address} was not renewed: ${fault.message}`);
      }
      await clock.sleep(everyMs, either).catch(() => undefined);
    }
    if (!this.#life.signal.aborted && !this.#held.has(address)) await agent.lease(holder, 0, this.#life.signal);
  }
}
