import { randomBytes } from 'node:crypto';
import { podNamePrefix } from '../runpod/pod.ts';

/**
 * A name that no other pod has. RunPod has no idempotency key, so the name is what a create whose answer was lost is
 * found by; it is recorded before the request is sent.
 */
export function newPodName(): string {
  return `${podNamePrefix}${randomBytes(6).toString('hex')}`;
}
