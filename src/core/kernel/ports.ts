import type { Event } from './event.ts';

/** Everything the core may ask of the outside, and nothing more. */
export interface Clock {
  /** ms since the epoch */
  now(): number;
  /** Rejects with the signal's Fault when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface Log {
  debug(text: string, data?: object): void;
  info(text: string, data?: object): void;
  warn(text: string, data?: object): void;
  error(text: string, cause?: unknown): void;
}

export type SecretId = 'runpodApiKey' | 'geminiApiKey';

export interface Secrets {
  get(id: SecretId): Promise<string | undefined>;
  readonly onDidChange: Event<SecretId>;
}
