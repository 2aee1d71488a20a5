import type { ServerResponse } from 'node:http';

const CHUNK_BYTES = 256 * 1024;

/** Streams `head` and then zeros, `total` bytes in all, made on the fly and only as fast as they are read. */
export function streamZeros(
  response: ServerResponse,
  head: Buffer,
  total: number,
  headers: Record<string, string>,
): void {
  response.writeHead(200, { ...headers, 'Content-Length': String(total) });
  const zeros = Buffer.alloc(CHUNK_BYTES);
  let left = total;
  const write = (chunk: Buffer): boolean => {
    const part = chunk.subarray(0, Math.min(left, chunk.length));
    left -= part.length;
    return response.write(part);
  };
  const pump = (): void => {
    while (left > 0 && !response.destroyed) {
      if (!write(zeros)) {
        response.once('drain', pump);
        return;
      }
    }
    response.end();
  };
  write(head);
  pump();
}
