import type { IncomingMessage } from 'node:http';
import { Busboy } from '@fastify/busboy';
import { BodyTooLarge, MAX_BODY_BYTES, readBody } from './body.ts';

export interface UploadedFile {
  filename: string;
  bytes: Buffer;
}

/** A form as aiohttp's `request.post()` gives it. */
export interface Form {
  fields: Map<string, string>;
  files: Map<string, UploadedFile>;
}

/** Reads a multipart or URL-encoded form; anything else is an empty form. Throws BodyTooLarge. */
export async function readForm(request: IncomingMessage): Promise<Form> {
  const type = request.headers['content-type'] ?? '';
  const form: Form = { fields: new Map(), files: new Map() };
  if (!type.startsWith('multipart/form-data')) {
    const text = (await readBody(request)).toString('utf8');
    if (type.startsWith('application/x-www-form-urlencoded')) {
      for (const [name, value] of new URLSearchParams(text)) form.fields.set(name, value);
    }
    return form;
  }
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw new BodyTooLarge();
  await new Promise<void>((resolve, reject) => {
    // Paths are kept: the server must see `../evil.png` to refuse it.
    const parser = new Busboy({
      headers: { ...request.headers, 'content-type': type },
      preservePath: true,
      limits: { fileSize: MAX_BODY_BYTES },
    });
    parser.on('field', (name, value) => form.fields.set(name, value));
    parser.on('file', (name, stream, filename) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('limit', () => reject(new BodyTooLarge()));
      stream.on('end', () => form.files.set(name, { filename, bytes: Buffer.concat(chunks) }));
    });
    parser.on('finish', () => resolve());
    parser.on('error', reject);
    request.on('error', reject);
    request.pipe(parser);
  });
  return form;
}
