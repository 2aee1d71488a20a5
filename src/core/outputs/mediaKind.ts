import { splitName } from './outputName.ts';

export type MediaKind = 'image' | 'video' | 'other';

/** How many of a file's first bytes {@link recognise} wants to see. */
export const headBytes = 32;

interface Format {
  readonly kind: MediaKind;
  /** With its dot. */
  readonly extension: string;
}

/** Formats with no signature at a fixed place, believed by their name. */
const byNameOnly: Readonly<Record<string, MediaKind>> = { '.ts': 'video', '.mpg': 'video', '.mpeg': 'video' };

/**
 * What the bytes are, whatever the name says: a page of HTML called 'a.png' is no image.
 * An animated WebP, GIF or PNG is an image, since that is what shows it.
 */
export function mediaKind(head: Uint8Array, name: string): MediaKind {
  const format = recognise(head);
  if (format !== undefined) return format.kind;
  return byNameOnly[splitName(name).extension.toLowerCase()] ?? 'other';
}

const mediaEnding = /^\.(png|apng|jpe?g|gif|webp|avif|heic|tiff?|bmp|exr|mp4|m4v|mov|webm|mkv|avi|mpe?g)$/i;

/** True for a web page under the name of a picture or a film: what a proxy sends while it cannot reach the server. */
export function isPageInstead(head: Uint8Array, name: string): boolean {
  if (!mediaEnding.test(splitName(name).extension)) return false;
  return /^\s*<(!doctype|html)/i.test(new TextDecoder().decode(head));
}

/** The usual extension of what the bytes are, '' when they are not known. */
export function extensionOf(head: Uint8Array): string {
  return recognise(head)?.extension ?? '';
}

function recognise(head: Uint8Array): Format | undefined {
  const at = (from: number, to: number): string => String.fromCharCode(...head.subarray(from, to));
  if (at(0, 8) === '\x89PNG\r\n\x1a\n') return { kind: 'image', extension: '.png' };
  if (at(0, 3) === '\xff\xd8\xff') return { kind: 'image', extension: '.jpg' };
  if (at(0, 6) === 'GIF87a' || at(0, 6) === 'GIF89a') return { kind: 'image', extension: '.gif' };
  if (at(0, 4) === 'RIFF' && at(8, 12) === 'WEBP') return { kind: 'image', extension: '.webp' };
  if (at(0, 4) === 'RIFF' && at(8, 12) === 'AVI ') return { kind: 'video', extension: '.avi' };
  if (at(0, 4) === 'II*\0' || at(0, 4) === 'MM\0*') return { kind: 'image', extension: '.tif' };
  if (at(0, 4) === 'v/1\x01') return { kind: 'image', extension: '.exr' };
  if (at(0, 2) === 'BM' && at(6, 10) === '\0\0\0\0') return { kind: 'image', extension: '.bmp' };
  if (at(0, 4) === '\x1a\x45\xdf\xa3') return { kind: 'video', extension: '.webm' };
  if (at(4, 8) === 'ftyp') return isoFormat(at(8, 12));
  return undefined;
}

/** ISO base media files: the major brand tells stills, sound and films apart. */
function isoFormat(brand: string): Format {
  if (brand === 'avif' || brand === 'avis') return { kind: 'image', extension: '.avif' };
  if (['heic', 'heix', 'hevc', 'mif1', 'msf1'].includes(brand)) return { kind: 'image', extension: '.heic' };
  if (brand === 'M4A ' || brand === 'M4B ') return { kind: 'other', extension: '.m4a' };
  if (brand === 'qt  ') return { kind: 'video', extension: '.mov' };
  return { kind: 'video', extension: '.mp4' };
}
