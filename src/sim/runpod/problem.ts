import { STATUS_CODES } from 'node:http';

/** What a handler answers. `body` is sent as JSON; `text` as it is; neither for a 204. */
export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refused request. RunPod's error body is `application/problem+json` with `title`, `status`, `detail` and, for
 * contract violations, `errors`; there is no `type`, no `instance`, no code (RunPod OpenAPI v2, ErrorResponse). */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly errors: readonly string[] | undefined;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, detail: string, errors?: readonly string[], headers: Record<string, string> = {}) {
    super(detail);
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }
}

export function refusalReply(refusal: Refusal): Reply {
  return {
    status: refusal.status,
    body: {
      title: STATUS_CODES[refusal.status] ?? 'Error',
      status: refusal.status,
      detail: refusal.message,
      ...(refusal.errors ? { errors: refusal.errors } : {}),
    },
    contentType: 'application/problem+json',
    headers: refusal.headers,
  };
}

export const invalid = (errors: readonly string[]): Refusal => new Refusal(422, 'Request validation failed.', errors);
export const podNotFound = (): Refusal => new Refusal(404, 'pod not found');
/** The text recorded for every kind of missing stock: no card, data centres too narrow, no host with that CUDA. */
export const noStock = (): Refusal =>
  new Refusal(
    400,
    'There are no longer any instances available with the requested specifications. Please refresh and try again.',
  );
