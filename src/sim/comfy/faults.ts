/** A fault that strikes requests. Without `path` it strikes all of them. */
export interface RequestFault {
  /** Path prefix without the `/api` twin, e.g. `/prompt` */
  path?: string;
  /** `GET`, `POST`, … */
  method?: string;
  /** How many requests it strikes; absent = until it is removed */
  times?: number;
}

/**
 * What goes wrong, as plain data: it can be set at any time and travels as JSON. Durations are in simulated ms.
 * `refuse` is no fault of this list: a refused connection is the listener's doing.
 */
export interface ComfyFaults {
  httpError?: RequestFault & { status: number; body: string; contentType: string };
  /** 200 with an HTML page, as a proxy or a captive portal sends it */
  html200?: RequestFault | true;
  /** The request is never answered. */
  hang?: RequestFault | true;
  /** Headers and half of the body are sent, then the connection is reset. */
  resetMidBody?: RequestFault | true;
  /** Every answer comes this much later. */
  slowMs?: number;
  /** Half of a JSON body, closed as if it were complete */
  truncateJson?: RequestFault | true;
  /** Sockets open, say `status` once, and nothing more. */
  wsMute?: boolean;
  /** Each frame is preceded by bytes and text that mean nothing. */
  wsGarbage?: boolean;
  /** The upgrade is answered with 403. */
  wsReject?: boolean;
  /** The worker thread is dead: prompts are accepted and never run (comfyui.md 8.3 F1). */
  zombieWorker?: boolean;
  /** Samplers run out of memory; with `classType`, nodes of that class do. */
  oom?: true | { classType?: string; times?: number };
  /** A node raises an exception. Without a selector: the first node that runs. */
  failNode?: { classType?: string; nodeId?: string; message: string; exceptionType?: string; times?: number };
  /** Time between `execution_success` and the history entry (upstream bug #11540) */
  historyDelayMs?: number;
  /** Whether events of a run may precede the reply to its POST; default `cached` */
  earlyEvents?: 'never' | 'cached' | 'always';
  /**
   * A prompt is accepted; `afterMs` later the process dies (sockets destroyed); after `downMs` it is back with an
   * empty queue and history. Strikes once.
   */
  acceptThenDie?: { afterMs: number; downMs: number };
  /** POST /prompt takes effect, then the connection is destroyed without a reply. */
  lostReply?: true | { times?: number };
  /** Outputs are reported under this name, whatever they are called. */
  filename?: string;
  /** `/view` of an output streams this many bytes: the file, then zeros. */
  bigOutputBytes?: number;
}

/** The faults in force, with the counting that `times` needs. */
export class FaultBox {
  #faults: ComfyFaults = {};
  #struck = new Map<string, number>();

  get current(): ComfyFaults {
    return this.#faults;
  }

  /** Replaces all faults; counts start anew. */
  set(faults: ComfyFaults): void {
    this.#faults = structuredClone(faults);
    this.#struck.clear();
  }

  /** True when the fault called `name` strikes now; counts it. */
  strikes(name: keyof ComfyFaults, limit: number | undefined): boolean {
    const struck = this.#struck.get(name) ?? 0;
    if (limit !== undefined && struck >= limit) return false;
    this.#struck.set(name, struck + 1);
    return true;
  }

  /** The request fault called `name` if it strikes this request. */
  onRequest(
    name: 'httpError' | 'html200' | 'hang' | 'resetMidBody' | 'truncateJson',
    method: string,
    path: string,
  ): RequestFault | undefined {
    const set = this.#faults[name];
    if (set === undefined) return undefined;
    const fault: RequestFault = set === true ? {} : set;
    if (fault.path !== undefined && !path.startsWith(fault.path)) return undefined;
    if (fault.method !== undefined && fault.method !== method) return undefined;
    return this.strikes(name, fault.times) ? fault : undefined;
  }
}
