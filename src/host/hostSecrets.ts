import type * as vscode from 'vscode';
import { Emitter } from '../core/kernel/event.ts';
import type { PodTokens } from '../core/fleet/agentToken.ts';
import type { Lifetime } from '../core/kernel/lifetime.ts';
import type { SecretId, Secrets } from '../core/kernel/ports.ts';

const storageKeys: Readonly<Record<SecretId, string>> = {
  runpodApiKey: 'podrelay.runpodApiKey',
  geminiApiKey: 'podrelay.geminiApiKey',
};
const secretIds = Object.keys(storageKeys) as SecretId[];

/** Environment variables that RunPod's and Google's own tools read; the secret store wins. */
const variables: Readonly<Record<SecretId, readonly string[]>> = {
  runpodApiKey: ['RUNPOD_API_KEY'],
  geminiApiKey: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
};

export interface KeyStore extends Secrets {
  set(id: SecretId, value: string): Promise<void>;
  remove(id: SecretId): Promise<void>;
}

/** Keys live in VS Code's secret store; never in settings, logs or files. */
export function createHostSecrets(
  storage: vscode.SecretStorage,
  environment: NodeJS.ProcessEnv,
  life: Lifetime,
): KeyStore {
  const changed = life.own(new Emitter<SecretId>());
  life.own(
    storage.onDidChange(({ key }) => {
      for (const id of secretIds) if (storageKeys[id] === key) changed.fire(id);
    }),
  );
  return {
    onDidChange: (listener) => changed.event(listener),
    async get(id) {
      const stored = await storage.get(storageKeys[id]);
      if (stored !== undefined && stored !== '') return stored;
      return variables[id].map((name) => environment[name]).find((value) => value !== undefined && value !== '');
    },
    set: async (id, value) => storage.store(storageKeys[id], value.trim()),
    remove: async (id) => storage.delete(storageKeys[id]),
  };
}

/** The tokens of pods lie beside the keys. */
export function createHostPodTokens(storage: vscode.SecretStorage): PodTokens {
  const keyOf = (name: string): string => `podrelay.podToken.${name}`;
  return {
    get: async (name) => storage.get(keyOf(name)),
    set: async (name, token) => storage.store(keyOf(name), token),
    remove: async (name) => storage.delete(keyOf(name)),
  };
}
