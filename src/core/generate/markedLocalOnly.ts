import type { JobRequest } from '../backends/backend.ts';

/** Titles are what ComfyUI's editor lets a person write and exports in API format. */
const mark = /\[local[ -]?only\]/i;

/** The request, which never leaves this machine when a node of its workflow has `[local only]` in its title. */
export function markedLocalOnly<T extends Pick<JobRequest, 'workflow' | 'localOnly'>>(request: T): T {
  if (request.localOnly) return request;
  const marked = Object.values(request.workflow).some((node) => mark.test(String(node._meta?.title ?? '')));
  return marked ? { ...request, localOnly: true } : request;
}
