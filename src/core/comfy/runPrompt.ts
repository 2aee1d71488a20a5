import { Fault, isShutdown, throwIfAborted, toFault } from '../kernel/fault.ts';
import { withDeadline } from '../kernel/clock.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { ComfyClient, OutputFile, PromptWhereabouts } from './comfyClient.ts';
import type { ComfySocket } from './comfySocket.ts';
import { outputFiles } from './outputs.ts';
import { endFault, nodeErrorsFault } from './promptErrors.ts';
import type { HistoryEntry } from './wire.ts';
import type { Workflow } from './workflow.ts';

export interface PromptProgress {
  readonly phase: 'sent' | 'queued' | 'running';
  /** 0 to 1 over the whole graph; undefined = not known */
  readonly fraction?: number;
  /** Title or class of the node at work. */
  readonly node?: string;
  /** It should run, and nothing was heard of it for so long: its worker may be dead (comfyui.md 8.3 F1). */
  readonly silentMs?: number;
  /** Prompts before ours. */
  readonly place?: number;
  readonly preview?: { readonly mimeType: string; readonly bytes: Uint8Array };
}

export interface RunPromptOptions {
  readonly client: ComfyClient;
  readonly workflow: Workflow;
  /** Ours, chosen and stored before anything is sent. */
  readonly promptId: string;
  readonly clientId: string;
  readonly clock: Clock;
  readonly log: Log;
  onProgress(progress: PromptProgress): void;
  /** Just before the prompt is sent; what it throws keeps it from being sent. */
  onSend?(): Promise<void>;
  /** The server has accepted the prompt. */
  onAccepted?(): void;
  /** How long it ran, as seen from here; not called when its start was not seen. */
  onRan?(ms: number): void;
}

/** Polling is the truth; a lively socket only makes it rarer. Without one it begins quickly and grows slower. */
const pollMs = { socketLive: 3_000, socketMute: { from: 100, to: 1_000 }, historyLag: 25, afterMiss: 150 } as const;
/**
 * When a server that runs our job and does not answer counts as dead: misses in a row, over at least so long. On this
 * machine a refused connection has one meaning; elsewhere it may be a network that comes back.
 */
const deadAfter = { here: { misses: 3, ms: 0 }, otherwise: { misses: 6, ms: 10_000 } } as const;
/** Nodes are silent for a minute at times, and longer while they load a model (comfyui.md 6.2): then it is worth a word. */
const unusualSilenceMs = 120_000;
/** 'Unknown there' is asked twice: the prompt may be on its way from the queue to the history. */
const secondOpinionMs = 300;
const cancelTimeoutMs = 5_000;
/** Gaps up to 350 ms between the end and the history entry were recorded; after this the end marker is not believed. */
const historyLagLimitMs = 3_000;

/**
 * Runs one prompt to its end on one ComfyUI and returns its files. Finishes on the history entry, never on an event
 * alone; survives events before the reply, a mute socket and lost replies.
 * @throws Fault; when a person aborts, the prompt, and only it, is cancelled on the server first; when the window ends,
 * it is left to run and to be collected later
 */
export async function runPrompt(options: RunPromptOptions, signal: AbortSignal): Promise<readonly OutputFile[]> {
  throwIfAborted(signal);
  let sent: 'no' | 'maybe' | 'yes' = 'no';
  return followed(
    options,
    signal,
    () => sent,
    async () => {
      await options.onSend?.();
      await submitOnce(options, signal, () => (sent = 'maybe'));
      sent = 'yes';
      options.onAccepted?.();
    },
  );
}

/**
 * Follows a prompt that was sent before by a window that is gone, with its progress: the server sends the events of a
 * prompt to the client id that it came with (comfyui.md 2.7). Ends as {@link runPrompt} does.
 */
export async function followPrompt(options: RunPromptOptions, signal: AbortSignal): Promise<readonly OutputFile[]> {
  return followed(
    options,
    signal,
    () => 'yes',
    () => Promise.resolve(),
  );
}

async function followed(
  options: RunPromptOptions,
  signal: AbortSignal,
  sent: () => 'no' | 'maybe' | 'yes',
  submit: () => Promise<void>,
): Promise<readonly OutputFile[]> {
  // Listening starts before the prompt is sent: a cached one is over before the reply arrives (race B).
  const follower = new Follower(options);
  try {
    await follower.listen(signal);
    await submit();
    return await follower.untilEnd(signal);
  } catch (error) {
    if (signal.aborted && !isShutdown(signal) && sent() !== 'no') await cancelQuietly(options, sent() === 'maybe');
    throwIfAborted(signal);
    throw toFault(error);
  } finally {
    follower.dispose();
  }
}

async function submitOnce(options: RunPromptOptions, signal: AbortSignal, onSent: () => void): Promise<void> {
  const { client, promptId, clientId, workflow, clock, log } = options;
  options.onProgress({ phase: 'sent' });
  onSent();
  try {
    const errors = await client.submit({ id: promptId, clientId, workflow }, signal);
    const partial = nodeErrorsFault(errors);
    if (partial === undefined) return;
    // Accepted, but a branch would be dropped without a word (comfyui.md 0.3, fact 6): that is not what was asked for.
    await cancelQuietly(options, false);
    throw partial;
  } catch (error) {
    const fault = toFault(error);
    // A reply that cannot be read comes from a server that may well have taken the prompt.
    const unclear = fault.facts.delivered === 'maybe' || (fault.kind === 'protocol' && fault.facts.raw !== undefined);
    if (!unclear || signal.aborted) throw fault;
    log.warn(`No clear answer to the submission (${fault.message}): asking the server whether it has the prompt`);
    for (let round = 0; round < 2; round++) {
      const where = await client.find(promptId, signal);
      if (where.at !== 'unknown') return;
      await clock.sleep(300, signal);
    }
    throw new Fault(fault.kind, fault.message, { ...fault.facts, delivered: 'no' }, { cause: fault });
  }
}

/** A prompt whose reply was cut off may still arrive after its cancellation: then it is looked for once more. */
async function cancelQuietly({ client, promptId, clock, log }: RunPromptOptions, onItsWay: boolean): Promise<void> {
  const deadline = withDeadline(
    new AbortController().signal,
    cancelTimeoutMs,
    () => new Fault('timeout', 'No answer to the cancellation'),
  );
  try {
    await client.cancel(promptId, deadline.signal);
    if (!onItsWay) return;
    await clock.sleep(secondOpinionMs, deadline.signal);
    await client.cancel(promptId, deadline.signal);
  } catch (error) {
    log.warn(`Could not cancel prompt ${promptId}: ${toFault(error).message}`);
  } finally {
    deadline.done();
  }
}

const forgottenMessage = 'The server no longer knows the job: it was restarted or its queue was cleared';

/** The prompt had been sent, whatever the last request met. */
function wentAway(fault: Fault): Fault {
  const facts = { ...fault.facts, delivered: 'maybe' } as const;
  return new Fault(fault.kind, `The server went away while it ran the job: ${fault.message}`, facts, { cause: fault });
}

class Follower {
  readonly #options: RunPromptOptions;
  readonly #total: number;
  #socket: ComfySocket | undefined;
  #wakeSleeper: () => void = () => undefined;
  /** Something happened since the last look. */
  #dirty = false;
  #lateRounds = 0;
  #heardAt: number;
  /** An event says that the run is over, one way or the other: the history entry is there, or will be soon. */
  #ended = false;
  #doneNodes = 0;
  #currentNode: string | undefined;
  /** ms since the epoch, as seen from here */
  #ranFrom: number | undefined;
  #ranTo: number | undefined;

  constructor(options: RunPromptOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    this.#total = Object.keys(options.workflow).length;
  }

  /** A socket that cannot be opened is no failure: polling does the work. */
  async listen(signal: AbortSignal): Promise<void> {
    const { client, clientId, clock } = this.#options;
    const socket = await client.openSocket(clientId);
    this.#socket = socket;
    socket.onEvent((event) => {
      if ('promptId' in event && event.promptId !== undefined && event.promptId !== this.#options.promptId) return;
      if (event.is !== 'status') this.#heardAt = clock.now();
      switch (event.is) {
        case 'executing':
          // The form without a prompt id comes after a reconnection and may mean another prompt.
          if (event.promptId === undefined) return;
          if (event.node === null) this.#end();
          else this.#running(event.node, undefined);
          return;
        case 'progress':
          this.#running(event.node, event.max > 0 ? event.value / event.max : undefined);
          return;
        case 'nodes':
          this.#doneNodes = Math.max(this.#doneNodes, event.finished);
          return;
        case 'cached':
          this.#doneNodes = Math.max(this.#doneNodes, event.nodes.length);
          return;
        case 'succeeded':
        case 'failed':
        case 'interrupted':
          this.#end();
          return;
        case 'preview':
          this.#options.onProgress({
            ...this.#state(undefined),
            preview: { mimeType: event.mimeType, bytes: event.bytes },
          });
          return;
        case 'started':
          this.#ranFrom ??= this.#options.clock.now();
          return;
        case 'status':
          return;
      }
    });
    socket.onDidClose(() => this.#wake());
    // A short wait for the greeting: without it the first events of a quick prompt would be missed.
    const opened = new Promise<void>((resolve) => {
      socket.onEvent(() => resolve());
      socket.onDidClose(() => resolve());
    });
    const patience = new AbortController();
    await Promise.race([opened, clock.sleep(1_000, AbortSignal.any([signal, patience.signal])).catch(() => undefined)]);
    patience.abort();
  }

  async untilEnd(signal: AbortSignal): Promise<readonly OutputFile[]> {
    const { clock, log, promptId } = this.#options;
    const startedAt = clock.now();
    let answeredAt = startedAt;
    let misses = 0;
    let unknowns = 0;
    for (;;) {
      throwIfAborted(signal);
      this.#dirty = false;
      let entry: HistoryEntry | undefined;
      try {
        const where = await this.#look(signal);
        if (where.at !== 'running') this.#heardAt = clock.now();
        unknowns = where.at === 'unknown' ? unknowns + 1 : 0;
        if (where.at === 'finished') entry = where.entry;
        misses = 0;
        answeredAt = clock.now();
      } catch (error) {
        throwIfAborted(signal);
        const fault = toFault(error);
        misses += 1;
        log.info(`The server that runs prompt ${promptId} did not answer: ${fault.message}`);
        const refused = fault.kind === 'unreachable' && fault.facts.delivered === 'no';
        const limit = refused && this.#isHere() ? deadAfter.here : deadAfter.otherwise;
        if (misses >= limit.misses && clock.now() - answeredAt >= limit.ms) throw wentAway(fault);
      }
      if (entry !== undefined) {
        if (this.#ranFrom !== undefined) this.#options.onRan?.((this.#ranTo ?? clock.now()) - this.#ranFrom);
        return this.#result(entry);
      }
      if (unknowns >= 2) throw this.#gone();
      await this.#pause(this.#pauseMs(misses, unknowns, clock.now() - startedAt), clock, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<PromptWhereabouts | { readonly at: 'ended' }> {
    const { client, promptId } = this.#options;
    if (this.#ended) {
      // The entry is written between 'execution_success' and the end marker: soon, not at once (race A).
      const entry = await client.history(promptId, signal);
      if (entry !== undefined) return { at: 'finished', entry };
      this.#lateRounds += 1;
      if (this.#lateRounds * pollMs.historyLag > historyLagLimitMs) this.#ended = false;
      return { at: 'ended' };
    }
    const where = await client.find(promptId, signal);
    if (where.at === 'pending') this.#options.onProgress({ phase: 'queued', place: where.place });
    if (where.at === 'running') this.#running(undefined, undefined);
    return where;
  }

  /** A socket that has been open all the while shows that the server was not restarted: then somebody took the job out. */
  #gone(): Fault {
    if (this.#socket?.live !== true) return new Fault('unavailable', forgottenMessage, { delivered: 'no' });
    return new Fault('jobFailed', "The job was removed from the server's queue", {
      delivered: 'yes',
      nextStep: 'Run it again.',
    });
  }

  /** Without a socket nothing is ever heard, which says nothing. */
  #silence(): { readonly silentMs?: number } {
    const silentMs = this.#options.clock.now() - this.#heardAt;
    return this.#socket?.live === true && silentMs > unusualSilenceMs ? { silentMs } : {};
  }

  #pauseMs(misses: number, unknowns: number, waitedMs: number): number {
    if (misses > 0) return Math.min(2_000, pollMs.afterMiss * 2 ** (misses - 1));
    if (unknowns > 0) return secondOpinionMs;
    if (this.#ended) return pollMs.historyLag;
    if (this.#socket?.live === true) return pollMs.socketLive;
    return Math.min(pollMs.socketMute.to, Math.max(pollMs.socketMute.from, waitedMs / 10));
  }

  #isHere(): boolean {
    return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(new URL(this.#options.client.baseUrl).hostname);
  }

  dispose(): void {
    this.#socket?.dispose();
  }

  /** Sleeps until the time is over or an event makes a look worth while. */
  async #pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
    const nap = new AbortController();
    const woken = new Promise<void>((resolve) => (this.#wakeSleeper = resolve));
    if (this.#dirty) this.#wakeSleeper();
    const either = AbortSignal.any([signal, nap.signal]);
    await Promise.race([clock.sleep(ms, either).catch(() => undefined), woken]);
    nap.abort();
  }

  #wake(): void {
    this.#dirty = true;
    this.#wakeSleeper();
  }

  #result(entry: HistoryEntry): readonly OutputFile[] {
    const fault = endFault(entry);
    if (fault !== undefined) throw fault;
    const files = outputFiles(entry.outputs);
    if (files.length > 0) return files;
    throw new Fault('jobFailed', 'The workflow ended without a file', {
      delivered: 'yes',
      nextStep: 'Add a node that saves its output, such as SaveImage.',
    });
  }

  #end(): void {
    this.#ranTo ??= this.#options.clock.now();
    this.#ended = true;
    this.#wake();
  }

  #running(node: string | undefined, within: number | undefined): void {
    this.#ranFrom ??= this.#options.clock.now();
    if (node !== undefined) this.#currentNode = node;
    this.#options.onProgress(this.#state(within));
  }

  #state(within: number | undefined): PromptProgress {
    const id = this.#currentNode;
    const node = id === undefined ? undefined : this.#options.workflow[id];
    const fraction = Math.min(0.99, (this.#doneNodes + (within ?? 0)) / Math.max(1, this.#total));
    const name = node?._meta?.title ?? node?.class_type ?? id;
    return {
      phase: 'running',
      ...this.#silence(),
      ...(this.#doneNodes > 0 || within !== undefined ? { fraction } : {}),
      ...(name === undefined ? {} : { node: name }),
    };
  }
}
