import type { Backend, CostKind, JobRequest } from '../backends/backend.ts';
import { Fault, toFault } from '../kernel/fault.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { JobChange, JobRecord, JobStore, RemoteRun } from '../store/jobStore.ts';

/** What the records hold beside the columns, to make the request again. */
export interface JobDetails {
  readonly media: JobRequest['media'];
  readonly localOnly: boolean;
  readonly inputFolder?: string;
  /** Absolute: another window may have another one. */
  readonly outputFolder: string;
}

export interface JobEnd {
  readonly state: 'done' | 'failed' | 'cancelled' | 'lost';
  readonly backend?: string;
  readonly attempts?: readonly unknown[];
  readonly fault?: Fault;
  readonly cost?: { readonly micros: number; readonly basis: string; readonly kind: CostKind };
  readonly outputs?: JobChange['outputs'];
}

/** Of the time that the job stays ours unasked: later than that after an intent, it is asked for again whose the job is. */
const sendWithinShare = 0.2;

/**
 * The record of one job while it runs. A record that cannot be written does not stop a job on one's own machine, where
 * nothing but time can be lost with it: that is a warning. What is paid for is not sent without one, since after a crash
 * nobody would know of it. Once it is sent, the job matters more than its record.
 */
export class JobRecorder {
  readonly #store: JobStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #id: string;
  readonly #sendWithinMs: number;
  readonly #warnings = new Set<string>();
  /** Why there is no record. */
  #missing: Fault | undefined;
  /** When something was last intended; ms since the epoch. */
  #intendedAt: number | undefined;

  constructor(store: JobStore, clock: Clock, log: Log, id: string, leaseMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#id = id;
    this.#sendWithinMs = leaseMs * sendWithinShare;
  }

  /** What the person should know: sentences. */
  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  /** Writes the job down. Never throws: {@link mayBegin} and {@link intend} decide what a failure means. */
  async begin(request: JobRequest, outputFolder: string): Promise<void> {
    const { id, label, workflow } = request;
    const details = detailsFor(request, outputFolder);
    const row = {
      id,
      label,
      workflow: JSON.stringify(workflow),
      details: { ...details },
      requestedAt: this.#clock.now(),
    };
    try {
      await this.#store.put(row);
    } catch (error) {
      this.#missing = toFault(error);
      this.#warn(`The job is not on record and would be lost with this window: ${this.#missing.message}`);
    }
  }

  /** @throws Fault 'io' when this backend costs money and the job has no record */
  mayBegin({ billing }: Pick<Backend, 'billing'>): void {
    if (this.#missing === undefined || billing === 'free') return;
    throw unrecorded(this.#missing);
  }

  /** @throws Fault 'io' when this backend costs money and the run would not be found again; 'cancelled' by a taken job */
  async intend(backend: Pick<Backend, 'id' | 'billing'>, remote: RemoteRun): Promise<void> {
    if (this.#missing !== undefined) return this.mayBegin(backend);
    try {
      this.#intendedAt = this.#clock.now();
      await this.#mine({ backend: backend.id, remote });
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind === 'cancelled' || backend.billing !== 'free')
        throw fault.kind === 'io' ? unrecorded(fault) : fault;
      this.#warn(`Where the job runs is not on record, and it would be lost with this window: ${fault.message}`);
    }
  }

  /**
   * A machine that slept since the intent may find the job in another window's hands. @throws Fault 'cancelled' then
   */
  async maySend(): Promise<void> {
    if (this.#clock.now() - (this.#intendedAt ?? 0) > this.#sendWithinMs) await this.holdsIt();
  }

  /** The server has it. Never throws. */
  accepted(): void {
    if (this.#missing !== undefined) return;
    this.#store.accept(this.#id).catch((error: unknown) => {
      this.#log.debug(`That a job was accepted is not on record: ${toFault(error).message}`);
    });
  }

  /** Before files are fetched: @throws Fault 'cancelled' when another window has taken the job over meanwhile. */
  async holdsIt(): Promise<void> {
    await this.note({});
  }

  /** @throws Fault 'cancelled' when the job is another window's by now */
  async note(change: JobChange): Promise<void> {
    if (this.#missing !== undefined) return;
    try {
      await this.#mine(change);
    } catch (error) {
      const fault = toFault(error);
      if (fault.kind === 'cancelled') throw fault;
      this.#warn(`The record of the job is not up to date: ${fault.message}`);
    }
  }

  async end({ state, backend, attempts, fault, cost, outputs }: JobEnd): Promise<void> {
    await this.note({
      state,
      ...(backend === undefined ? {} : { backend }),
      ...(attempts === undefined ? {} : { attempts }),
      ...(outputs === undefined ? {} : { outputs }),
      ...(fault === undefined ? {} : { fault: { kind: fault.kind, message: fault.message } }),
      ...(cost === undefined || cost.kind === 'unknown' ? {} : { cost: { micros: cost.micros, basis: cost.basis } }),
    });
  }

  /** Its end is not known: it is looked for again from then on. True when that is on record. */
  async park(untilMs: number, fault: Fault | undefined): Promise<boolean> {
    if (this.#missing !== undefined) return false;
    try {
      if (fault !== undefined) await this.#mine({ fault: { kind: fault.kind, message: fault.message } });
      await this.#store.park(this.#id, untilMs);
      return true;
    } catch (error) {
      this.#log.warn(`The job could not be put aside: ${toFault(error).message}`);
      return false;
    }
  }

  async #mine(change: JobChange): Promise<void> {
    if (await this.#store.update(this.#id, change, this.#clock.now())) return;
    if (await this.#store.isBeaten(this.#id))
      throw new Fault('cancelled', 'Its second run was done first', { by: 'secondRun' });
    throw new Fault('cancelled', 'Another window has taken the job over', { by: 'takeover' });
  }

  #warn(text: string): void {
    if (!this.#warnings.has(text)) this.#log.warn(text);
    this.#warnings.add(text);
  }
}

function unrecorded(why: Fault): Fault {
  const message = `The job was not sent, since it could not be written down first: ${why.message}`;
  return new Fault('io', message, { ...why.facts, delivered: 'no' }, { cause: why });
}

export function detailsFor({ media, localOnly, inputFolder }: JobRequest, outputFolder: string): JobDetails {
  return { media, localOnly, outputFolder, ...(inputFolder === undefined ? {} : { inputFolder }) };
}

/** The remembered request is the row's own; only the parts that the columns lack come from `details`. */
export function detailsOf(record: JobRecord): JobDetails {
  const { media, localOnly, inputFolder, outputFolder } = record.details;
  return {
    media: media === 'video' ? 'video' : 'image',
    localOnly: localOnly !== false,
    outputFolder: typeof outputFolder === 'string' ? outputFolder : '',
    ...(typeof inputFolder === 'string' ? { inputFolder } : {}),
  };
}
