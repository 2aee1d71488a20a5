export interface ImageKind {
  readonly mimeType: 'image/png' | 'image/jpeg' | 'image/webp';
  readonly size: { readonly width: number; readonly height: number } | undefined;
}

/** The format of an image by its first bytes, and its pixels where they are easily read (PNG, JPEG). */
export function sniffImage(bytes: Uint8Array): ImageKind | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length >= 24 && view.toString('latin1', 0, 8) === '\x89PNG\r\n\x1a\n') {
    return { mimeType: 'image/png', size: { width: view.readUInt32BE(16), height: view.readUInt32BE(20) } };
  }
  if (view.length >= 4 && view[0] === 0xff && view[1] === 0xd8 && view[2] === 0xff) {
    return { mimeType: 'image/jpeg', size: jpegSize(view) };
  }
  if (view.length >= 12 && view.toString('latin1', 0, 4) === 'RIFF' && view.toString('latin1', 8, 12) === 'WEBP') {
    return { mimeType: 'image/webp', size: undefined };
  }
  return undefined;
}

/** Walks the segments to the first start-of-frame. */
function jpegSize(view: Buffer): ImageKind['size'] {
  let at = 2;
  while (at + 9 < view.length && view[at] === 0xff) {
    const marker = view[at + 1] ?? 0;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { height: view.readUInt16BE(at + 5), width: view.readUInt16BE(at + 7) };
    at += 2 + view.readUInt16BE(at + 2);
  }
  return undefined;
}
