import { roughQuote } from '../gemini/geminiQuote.ts';
import type { GeminiModels } from '../gemini/geminiQuote.ts';
import type { Backend } from './backend.ts';
import type { GeminiWorker, GeminiWorkerOptions } from './geminiWorker.ts';

export interface GeminiBackendOptions extends Omit<GeminiWorkerOptions, 'models'> {
  readonly hasKey: () => boolean;
}

/**
 * Google Gemini, the last resort: it cannot run a graph, so what can be read out of one is asked for, and what is lost is
 * told. Nothing is paid without consent. The module that does it is loaded at first use.
 */
export function createGeminiBackend(options: GeminiBackendOptions): Backend {
  const models = (): GeminiModels => ({
    image: options.settings()['gemini.imageModel'],
    video: options.settings()['gemini.videoModel'],
  });
  let worker: GeminiWorker | undefined;
  const load = async (): Promise<GeminiWorker> => {
    const { createGeminiWorker } = await import('./geminiWorker.ts');
    return (worker ??= createGeminiWorker({ ...options, models }));
  };
  return {
    id: 'gemini',
    tier: 'gemini',
    label: 'Google Gemini',
    billing: 'job',
    // A question is asked for each job, and each is paid for: one after the other.
    depth: 1,
    ready: () => {
      const settings = options.settings();
      if (!settings['gemini.enabled']) return { ok: false, why: 'Switched off' };
      if (settings['gemini.fallback'] === 'never')
        return { ok: false, why: "Switched off: the fallback is set to 'never'" };
      if (!options.hasKey()) return { ok: false, why: 'No Gemini API key is set' };
      return { ok: true };
    },
    probe: async (signal) => (await load()).probe(signal),
    refusals: async (job, signal) => (await load()).refusals(job, signal),
    // A graph is read only by the loaded module; until then one picture or clip of the usual kind is the best guess.
    quote: (job) => worker?.quote(job) ?? roughQuote(job.media, models()),
    run: async (job, context, signal) => (await load()).run(job, context, signal),
    resume: async (remote, job, context, signal) => (await load()).resume(remote, job, context, signal),
  };
}
