import { createHash, randomBytes } from 'node:crypto';

/** Where the tokens of our pods are kept: a secret store. `name` is the pod's mark, known before RunPod gives an id. */
export interface PodTokens {
  get(name: string): Promise<string | undefined>;
  /** Resolves once it is stored. */
  set(name: string, token: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** 256 random bits; may stand in a header, a cookie and an address as it is. */
export function newPodToken(): string {
  return randomBytes(32).toString('base64url');
}

/** All that RunPod is told of a token: it shows a pod's environment to every reader of the account. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Tokens that end with the process, as the pods of the demo do. */
export function memoryPodTokens(): PodTokens {
  const tokens = new Map<string, string>();
  return {
    get: (name) => Promise.resolve(tokens.get(name)),
    set: (name, token) => Promise.resolve(void tokens.set(name, token)),
    remove: (name) => Promise.resolve(void tokens.delete(name)),
  };
}
