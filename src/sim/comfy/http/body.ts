import type { IncomingMessage } from 'node:http';

/** `--max-upload-size`: 100 MB */
export const MAX_BODY_BYTES = 104_857_600;

export class BodyTooLarge extends Error {}

/** Reads a whole body, whatever its content type. Throws BodyTooLarge, possibly before all has arrived. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw new BodyTooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
