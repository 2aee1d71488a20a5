import { Fault } from '../kernel/fault.ts';

/** True for the fault of an id that RunPod does not know, or does not show yet. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Fault && error.kind === 'rejected' && error.facts.status === 404;
}
