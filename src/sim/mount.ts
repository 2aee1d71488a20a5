import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** A service of the simulator, without a port of its own: it is mounted on a listener, or behind a pod's proxy. */
export interface Mounted {
  /** `req.url` is relative to the mount point. */
  handle(req: IncomingMessage, res: ServerResponse): void;
  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends its sockets and timers. */
  dispose(): void;
}

/** Simulated time: the scale divides every duration (20 = twenty times faster than life); seeded, so repeatable. */
export interface SimTime {
  /** ms since the epoch, in simulated time */
  now(): number;
  /** Runs `work` after `ms` of simulated time. */
  after(ms: number, work: () => void): { cancel(): void };
}
