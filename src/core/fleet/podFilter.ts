import type { Pod, PodStatus } from '../runpod/pod.ts';

/** RunPod ignores filters of its list, so the client filters. An empty choice shows every pod. */
export function filterByStatus(pods: readonly Pod[], statuses: readonly PodStatus[]): readonly Pod[] {
  return statuses.length === 0 ? pods : pods.filter((pod) => statuses.includes(pod.status));
}

/** Costs GPU time now, or is about to. */
export function isActive(pod: Pod): boolean {
  return pod.status === 'PROVISIONING' || pod.status === 'STARTING' || pod.status === 'RUNNING';
}
