import { throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';

export interface WatchWorkersOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  /** Endpoints whose workers cost money or may soon, by id. */
  readonly ids: () => readonly string[];
  readonly read: (endpointId: string, signal: AbortSignal) => Promise<void>;
}

/**
 * Looks at the workers as long as there are any that cost money, or a job of ours is there: they come with the jobs, and end
 * by themselves after the last one, which nobody else would notice.
 */
export async function watchWorkers(options: WatchWorkersOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, everyMs, ids, read } = options;
  for (;;) {
    const now = ids();
    if (now.length === 0) return;
    await Promise.all(
      now.map((id) =>
        read(id, signal).catch((error: unknown) => {
          throwIfAborted(signal);
          log.debug(`The workers of ${id} are not known: ${toFault(error).message}`);
        }),
      ),
    );
    await clock.sleep(everyMs, signal);
  }
}
