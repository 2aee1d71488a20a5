import type { Event } from '../kernel/event.ts';
import type { Backend } from './backend.ts';

/** The backends that there are, which come and go. */
export interface BackendSource {
  /** The same object for one backend as long as it is there. Within a tier, the order decides between equals. */
  list(): readonly Backend[];
  /** One that a job on record was sent to, at that address; it may be no longer there, or mean another server by now. */
  find(id: string, address: string | undefined): Backend | undefined;
  /** Learns what there is beyond this machine, at most seconds. Never throws, but 'cancelled'. */
  refresh(signal: AbortSignal): Promise<void>;
  /** Backends may have come or gone. */
  readonly onDidChange: Event<void>;
}
