import * as z from 'zod/mini';
import { throwIfAborted, toFault } from '../kernel/fault.ts';
import type { Fault } from '../kernel/fault.ts';
import { createHttpClient } from '../http/httpClient.ts';
import type { HttpClientOptions } from '../http/httpClient.ts';

export type ComfyAnswer =
  | { readonly ready: true; readonly version: string | undefined; readonly latencyMs: number }
  | { readonly ready: false; readonly why: Fault };

/** Asks once whether ComfyUI answers at an address. Rejects only when aborted. */
export type ComfyProbe = (baseUrl: string, signal: AbortSignal) => Promise<ComfyAnswer>;

/** A proxy may answer 200 with a web page while the pod boots: only this shape counts (ComfyUI, GET /system_stats). */
const systemStats = z.object({
  system: z.object({ comfyui_version: z.nullish(z.string()) }),
  devices: z.array(z.unknown()),
});

export interface ComfyProbeOptions extends Pick<
  HttpClientOptions,
  'transport' | 'clock' | 'log' | 'random' | 'userAgent'
> {
  /** What the agent of a pod of ours asks for; undefined = that address has no such door. */
  readonly tokenFor?: (baseUrl: string) => Promise<string | undefined>;
}

/** No key is ever sent, since a pod's proxy address is public: only the pod's own token. */
export function createComfyProbe(options: ComfyProbeOptions, timeoutMs = 5_000): ComfyProbe {
  return async (baseUrl, signal) => {
    const credentials = async (): Promise<Readonly<Record<string, string>>> => {
      const token = await options.tokenFor?.(baseUrl);
      return token === undefined ? {} : { authorization: `Bearer ${token}` };
    };
    const http = createHttpClient({ ...options, baseUrl, retries: 0, timeoutMs, credentials });
    const startedAt = options.clock.now();
    try {
      const stats = await http.send(
        { method: 'GET', path: 'system_stats', reply: systemStats, repeatable: true },
        signal,
      );
      return {
        ready: true,
        version: stats.system.comfyui_version ?? undefined,
        latencyMs: options.clock.now() - startedAt,
      };
    } catch (error) {
      throwIfAborted(signal);
      return { ready: false, why: toFault(error) };
    }
  };
}
