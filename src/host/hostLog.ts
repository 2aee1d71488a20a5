import type { Log } from '../core/kernel/ports.ts';
import { redact } from './redact.ts';

/** Where lines are written. */
export type LogChannel = Readonly<Record<'debug' | 'info' | 'warn' | 'error', (line: string) => void>>;

/** The one output channel behind the core's log. Secrets are taken out here, at the last place before the text leaves. */
export function createHostLog(channel: LogChannel): Log {
  const text = (message: string, data?: object): string =>
    redact(data === undefined ? message : `${message} ${JSON.stringify(data)}`);
  return {
    debug: (message, data) => channel.debug(text(message, data)),
    info: (message, data) => channel.info(text(message, data)),
    warn: (message, data) => channel.warn(text(message, data)),
    error: (message, cause) =>
      channel.error(redact(cause instanceof Error ? `${message}: ${cause.stack ?? cause.message}` : message)),
  };
}
