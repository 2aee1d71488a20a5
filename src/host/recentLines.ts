import type { LogChannel } from './hostLog.ts';

export interface RecentLines {
  /** Writes to the channel and remembers. */
  readonly channel: LogChannel;
  /** Oldest first: `2026-01-31T12:00:00.000Z [warning] …`. */
  readonly lines: () => readonly string[];
}

const longestLine = 600;

/** Remembers the last lines of the log, since an output channel cannot be read: a problem report shows them. */
export function rememberLines(channel: LogChannel, mostLines: number): RecentLines {
  const kept: string[] = [];
  const keep = (level: string, text: string): void => {
    const line = `${new Date().toISOString()} [${level}] ${text}`;
    kept.push(line.length > longestLine ? `${line.slice(0, longestLine)}…` : line);
    if (kept.length > mostLines) kept.shift();
  };
  return {
    lines: () => [...kept],
    channel: {
      debug: (text) => channel.debug(text),
      info: (text) => {
        keep('info', text);
        channel.info(text);
      },
      warn: (text) => {
        keep('warning', text);
        channel.warn(text);
      },
      error: (text) => {
        keep('error', text);
        channel.error(text);
      },
    },
  };
}
