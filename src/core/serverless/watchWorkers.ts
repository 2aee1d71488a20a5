import { throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { EndpointStatus } from './endpointStatus.ts';
import { isBilled } from './workerCost.ts';

export interface WatchWorkersOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  readonly seen: () => readonly EndpointStatus[];
  /** Endpoints that have a job of ours, by id. */
  readonly atWork: () => readonly string[];
  readonly read: (endpointId: string, signal: AbortSignal) => Promise<void>;
}

/**
 * Looks at the workers as long as there are any that cost money, or a job of ours is there: they come with the jobs, and end
 * by themselves after the last one, which nobody else would notice.
 */
export async function watchWorkers(options: WatchWorkersOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, everyMs, seen, atWork, read } = options;
  for (;;) {
    const costly = seen().filter(({ workers }) => workers.known && workers.value.some(isBilled));
    const ids = [...new Set([...atWork(), ...costly.map(({ endpoint }) => endpoint.id)])];
    if (ids.length === 0) return;
    await Promise.all(
      ids.map((id) =>
        read(id, signal).catch((error: unknown) => {
          throwIfAborted(signal);
          log.debug(`The workers of ${id} are not known: ${toFault(error).message}`);
        }),
      ),
    );
    // They come and go by the second while there is work.
    await clock.sleep(atWork().length > 0 ? everyMs / 3 : everyMs, signal);
  }
}
