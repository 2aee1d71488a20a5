import { createHash } from 'node:crypto';
import { Refusal } from './problem.ts';

export type Caller =
  | { readonly may: 'all'; readonly key: string }
  | { readonly may: 'read'; readonly key: string }
  /** the key that RunPod puts into a pod's environment */
  | { readonly may: 'ownPod'; readonly key: string; readonly podId: string };

export interface Keys {
  readonly apiKey: string;
  readonly readOnlyKey: string | undefined;
  /** ids of pods whose own keys are valid */
  livingPods(): readonly string[];
}

/** The key of one pod; it may read and stop that pod and nothing else. */
export function podKeyOf(podId: string, seed: number): string {
  return `rpa_pod_${podId}_${createHash('sha256').update(`${seed}/${podId}`).digest('hex').slice(0, 24)}`;
}

/** @throws Refusal 401, which RunPod sends without rate-limit headers */
export function callerOf(authorization: string | undefined, keys: Keys, seed: number): Caller {
  const token = /^Bearer\s+(\S+)$/i.exec(authorization?.trim() ?? '')?.[1];
  if (token === undefined) throw new Refusal(401, 'missing bearer token');
  if (token === keys.apiKey) return { may: 'all', key: token };
  if (token === keys.readOnlyKey) return { may: 'read', key: token };
  const podId = keys.livingPods().find((id) => podKeyOf(id, seed) === token);
  if (podId !== undefined) return { may: 'ownPod', key: token, podId };
  throw new Refusal(401, 'invalid bearer token');
}

/** @throws Refusal 403 */
export function assertMay(caller: Caller, operations: readonly string[], podId: string | undefined): void {
  const reads = /^(get|list)/.test(operations[0] ?? '');
  const allowed =
    caller.may === 'all' ||
    (caller.may === 'read' && reads) ||
    (caller.may === 'ownPod' &&
      caller.podId === podId &&
      (operations.includes('getPod') || operations.includes('stopPod')));
  if (!allowed) throw new Refusal(403, 'access denied');
}
