/** One server-sent event. `id` is opaque; it is the last one the stream named, and empty before any. */
export interface SseEvent {
  readonly id: string;
  readonly data: string;
  /** The data was longer than the limit and lost its end. */
  readonly cut: boolean;
}

/** Longest data of one event that is kept, in characters; the rest of it is dropped, the stream goes on. */
export const longestEvent = 1_048_576;

/**
 * Reads `text/event-stream` piece by piece (WHATWG HTML, server-sent events): LF, CRLF and CR line ends, a byte order
 * mark, comments, several data lines, characters and line ends split between pieces. An event without its closing blank
 * line is never given out.
 */
export function createSseParser(): { feed(bytes: Uint8Array): readonly SseEvent[] } {
  const decoder = new TextDecoder();
  let line = '';
  let lineCut = false;
  let skipLineFeed = false;
  let id = '';
  let data: string | undefined;
  let cut = false;

  const endLine = (): SseEvent | undefined => {
    const text = line;
    line = '';
    if (lineCut) cut = true;
    lineCut = false;
    if (text === '') {
      const event = data === undefined ? undefined : { id, data, cut };
      data = undefined;
      cut = false;
      return event;
    }
    const colon = text.indexOf(':');
    const field = colon === -1 ? text : text.slice(0, colon);
    const value = colon === -1 ? '' : text.slice(colon + 1).replace(/^ /, '');
    if (field === 'id' && !value.includes('\0')) id = value;
    if (field === 'data') {
      const joined = data === undefined ? value : `${data}\n${value}`;
      data = joined.slice(0, longestEvent);
      if (joined.length > longestEvent) cut = true;
    }
    return undefined;
  };

  const add = (text: string): void => {
    const room = longestEvent + 16 - line.length;
    if (text.length > room) lineCut = true;
    line += room >= text.length ? text : text.slice(0, Math.max(0, room));
  };

  return {
    feed(bytes) {
      const events: SseEvent[] = [];
      const text = decoder.decode(bytes, { stream: true });
      let from = 0;
      for (let at = 0; at < text.length; at++) {
        const char = text[at];
        if (char !== '\n' && char !== '\r') {
          skipLineFeed = false;
          continue;
        }
        if (char === '\n' && skipLineFeed) {
          skipLineFeed = false;
          from = at + 1;
          continue;
        }
        add(text.slice(from, at));
        from = at + 1;
        skipLineFeed = char === '\r';
        const event = endLine();
        if (event !== undefined) events.push(event);
      }
      add(text.slice(from));
      return events;
    },
  };
}
