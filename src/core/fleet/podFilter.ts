import type { Pod } from '../runpod/pod.ts';

/** It has no GPU until somebody starts it. A failed container has one, and of a state that we do not know nobody can tell. */
export function isStopped({ status }: Pick<Pod, 'status'>): boolean {
  return status === 'EXITED' || status === 'TERMINATED';
}

/** On its way to run jobs, or able to. */
export function isActive(pod: Pod): boolean {
  return pod.status === 'PROVISIONING' || pod.status === 'STARTING' || pod.status === 'RUNNING';
}
