import type { Pod, PodStatus } from '../runpod/pod.ts';

/** RunPod ignores filters of its list, so the client filters. An empty choice shows every pod. */
export function filterByStatus(pods: readonly Pod[], statuses: readonly PodStatus[]): readonly Pod[] {
  return statuses.length === 0 ? pods : pods.filter((pod) => statuses.includes(pod.status));
}

/** It has no GPU until somebody starts it. A failed container has one, and of a state that we do not know nobody can tell. */
export function isStopped({ status }: Pick<Pod, 'status'>): boolean {
  return status === 'EXITED' || status === 'TERMINATED';
}

/** On its way to run jobs, or able to. */
export function isActive(pod: Pod): boolean {
  return pod.status === 'PROVISIONING' || pod.status === 'STARTING' || pod.status === 'RUNNING';
}
