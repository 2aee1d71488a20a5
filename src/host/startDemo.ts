import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import path from 'node:path';
import * as z from 'zod/mini';
import { memoryPodTokens } from '../core/fleet/agentToken.ts';
import { Emitter } from '../core/kernel/event.ts';
import type { Disposable } from '../core/kernel/event.ts';
import { Fault, throwIfAborted } from '../core/kernel/fault.ts';
import type { Log, SecretId } from '../core/kernel/ports.ts';
import type { Place } from './place.ts';

const greeting = z.object({
  addresses: z.object({
    localComfyUrl: z.string(),
    runpodApiUrl: z.string(),
    podProxyUrl: z.string(),
    serverlessUrl: z.string(),
    geminiUrl: z.string(),
  }),
  runpodApiKey: z.string(),
  geminiApiKey: z.string(),
  podId: z.string(),
});
const answer = z.object({ id: z.number(), error: z.optional(z.string()) });

/** The simulator beside the editor. Ending it ends the process and removes what the demo recorded. */
export interface Demo extends Disposable {
  readonly place: Place;
  /** Opens or closes the port of the simulated local ComfyUI. */
  setLocal(on: boolean): Promise<void>;
  /** Makes the simulated RunPod fail, or work again. */
  setCloud(working: boolean): Promise<void>;
}

export interface DemoOptions {
  readonly extensionPath: string;
  readonly storageFolder: string;
  readonly log: Log;
  /** The simulator ended by itself, after it had started. */
  readonly onDidEnd: () => void;
}

const startTimeoutMs = 15_000;

/**
 * Starts the simulator as a process beside the editor and gives its addresses and keys: the person's own keys are not
 * read, and what the demo records goes to a folder of its own. The process ends with its standard input.
 */
export async function startDemo(options: DemoOptions, signal: AbortSignal): Promise<Demo> {
  throwIfAborted(signal);
  const program = path.join(options.extensionPath, 'dist', 'sim', 'cli.js');
  const child = spawn(process.execPath, [program], {
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
    windowsHide: true,
  });
  const waiting = new Map<number, { resolve: () => void; reject: (fault: Fault) => void }>();
  let next = 1;
  let stopped = false;
  let errorText = '';
  child.stderr.on('data', (chunk: Buffer) => (errorText = (errorText + chunk.toString()).slice(-2_000)));
  // A simulator that is gone already must not bring the editor's process down with an EPIPE.
  child.stdin.on('error', () => undefined);

  const storeFolder = path.join(options.storageFolder, 'demo', randomUUID());
  const dispose = (): void => {
    stopped = true;
    child.stdin.end();
    child.kill();
    rm(storeFolder, { recursive: true, force: true, maxRetries: 3 }).catch((error: unknown) =>
      options.log.debug(`The demo's records could not be removed: ${String(error)}`),
    );
  };
  const first = Promise.withResolvers<z.infer<typeof greeting>>();
  const fail = (why: string): void => {
    const fault = new Fault('unavailable', `The demo could not start: ${why}`, {
      nextStep: 'The log has the details.',
    });
    first.reject(fault);
    for (const { reject } of waiting.values()) reject(fault);
    waiting.clear();
  };
  child.on('error', (error) => fail(error.message));
  let started = false;
  child.on('exit', (code) => {
    if (stopped) return;
    options.log.error(`The simulator ended (${code ?? 'by a signal'}): ${errorText}`);
    fail(`it ended with ${code ?? 'a signal'}`);
    if (started) options.onDidEnd();
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = readLine(line);
    if (said === undefined) return options.log.warn(`The simulator printed: ${line}`);
    if ('addresses' in said) {
      started = true;
      return first.resolve(said);
    }
    const asked = waiting.get(said.id);
    waiting.delete(said.id);
    if (said.error === undefined) asked?.resolve();
    else asked?.reject(new Fault('bug', said.error));
  });

  const timer = setTimeout(() => fail('no answer within 15 s'), startTimeoutMs);
  const cancel = (): void => first.reject(signal.reason);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const { addresses, runpodApiKey, geminiApiKey, podId } = await first.promise;
    const keys: Readonly<Record<SecretId, string>> = { runpodApiKey, geminiApiKey };
    const never = new Emitter<SecretId>();
    const ask = (request: object): Promise<void> =>
      new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ ...request, id })}\n`);
      });
    let chosenPod: string | undefined = podId;
    // The chain as it is told: the pod, then Gemini. A person may add the endpoint.
    let chosenEndpoints: readonly string[] = [];
    return {
      dispose,
      setLocal: (on) => ask({ do: 'setLocal', on }),
      setCloud: (on) => ask({ do: 'setCloud', on }),
      place: {
        addresses,
        secrets: { get: (id) => Promise.resolve(keys[id]), onDidChange: never.event },
        podTokens: memoryPodTokens(),
        storeFolder,
        podId: () => chosenPod,
        choosePod: (id) => Promise.resolve(void (chosenPod = id)),
        endpointIds: () => chosenEndpoints,
        chooseEndpoints: (ids) => Promise.resolve(void (chosenEndpoints = ids)),
      },
    };
  } catch (error) {
    dispose();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

/** Undefined for what is none of the protocol's lines, such as a warning of the Node that runs it. */
function readLine(line: string): z.infer<typeof greeting> | z.infer<typeof answer> | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  return greeting.safeParse(json).data ?? answer.safeParse(json).data;
}
