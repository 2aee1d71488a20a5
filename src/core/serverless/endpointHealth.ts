import type { Health } from '../backends/backend.ts';
import type { Endpoint } from './endpoint.ts';
import type { EndpointHealth } from './jobClient.ts';

/** Why an endpoint can take no job of ours, with what to do about it; undefined = it can. Pure. */
export function endpointObstacle(endpoint: Endpoint): { readonly why: string; readonly nextStep: string } | undefined {
  if (endpoint.kind === 'loadBalancer') {
    return { why: 'The endpoint is a load balancer, which has no job queue', nextStep: 'Choose a queue endpoint.' };
  }
  if (endpoint.maxWorkers > 0) return undefined;
  // RunPod lowers it by itself when an endpoint was not used for a week (docs, serverless/troubleshooting).
  return {
    why: 'The endpoint runs no jobs: its maximum of workers is 0',
    nextStep: 'Raise the maximum of workers of the endpoint.',
  };
}

/** What an endpoint's counts mean to a job that might be sent there. Pure. */
export function healthOf(endpoint: Endpoint | undefined, { jobs, workers }: EndpointHealth): Health {
  const obstacle = endpoint === undefined ? undefined : endpointObstacle(endpoint);
  if (obstacle !== undefined) return { state: 'unhealthy', why: obstacle.why };
  const { idle = 0, running = 0, initializing = 0, throttled = 0, unhealthy = 0 } = workers;
  const known = jobs.inQueue !== undefined || jobs.inProgress !== undefined;
  const queue = known ? { queueLength: (jobs.inQueue ?? 0) + (jobs.inProgress ?? 0) } : {};
  const count = (n: number, what: string): string[] => (n === 0 ? [] : [`${n} ${what}`]);
  const told = [
    ...count(idle, 'idle'),
    ...count(running, 'at work'),
    ...count(initializing, 'starting'),
    ...count(throttled, 'without a GPU'),
    ...count(unhealthy, 'unhealthy'),
  ].join(', ');
  const why = `Workers: ${told}`;
  if (idle + running > 0) return { state: unhealthy > 0 ? 'degraded' : 'healthy', why, ...queue };
  if (initializing > 0) return { state: 'starting', why, ...queue };
  if (unhealthy > 0) return { state: 'unhealthy', why: `The workers crash: ${told}`, ...queue };
  if (throttled > 0) return { state: 'degraded', why: 'RunPod has no free GPU for its workers now', ...queue };
  return { state: 'stopped', why: 'No worker is up; a job starts one', ...queue };
}
