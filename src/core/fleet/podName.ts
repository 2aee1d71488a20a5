import { randomInt } from 'node:crypto';
import { podNamePrefix } from '../runpod/pod.ts';

/** 41 bits, and short enough to be read in a narrow side bar. */
const length = 8;

/**
 * A name that no other pod has. RunPod has no idempotency key, so the name is what a create whose answer was lost is
 * found by; it is recorded before the request is sent.
 */
export function newPodName(): string {
  return podNamePrefix + Array.from({ length }, () => randomInt(36).toString(36)).join('');
}
