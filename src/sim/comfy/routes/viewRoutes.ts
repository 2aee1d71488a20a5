import { encodeJpeg } from '../media/jpeg.ts';
import { encodeWebp } from '../media/webp.ts';
import { decodePng, encodePng } from '../media/png.ts';
import { ServerTrouble } from '../graph/promptError.ts';
import { isFolderType, normalizeInside, sha256, type FolderType } from '../files/fileStore.ts';
import { mimeOf } from '../files/mime.ts';
import { route, type Call, type Route } from '../http/route.ts';
import type { ServerState } from '../serverState.ts';
import { streamZeros } from '../http/bigBody.ts';
import type { Frame } from '../media/frame.ts';

/** `GET /view` (comfyui.md 1.5). */
export function viewRoutes(state: ServerState): Route[] {
  return [route('GET', '/view', (call) => view(call, state))];
}

function view(call: Call, state: ServerState): void {
  const requested = call.query.get('filename');
  if (requested === null) return call.reply.empty(404);
  const { name, type } = annotated(requested, call.query.get('type') ?? 'output');
  if (name === '' || name.startsWith('/') || name.includes('..') || !isFolderType(type)) return call.reply.empty(400);
  const subfolder = normalizeInside(call.query.get('subfolder') ?? '');
  if (subfolder === undefined) return call.reply.empty(403);
  // The folder is joined with the base name only.
  const base = name.slice(name.lastIndexOf('/') + 1);
  const file = findFile(state, type, subfolder, base);
  if (file === undefined) return call.reply.empty(404);
  const disposition = { 'Content-Disposition': `filename="${base}"` };
  const preview = call.query.get('preview');
  const channel = call.query.get('channel');
  if (preview !== null) return sendPreview(call, file.bytes, preview, disposition);
  if (channel === 'rgb' || channel === 'a') {
    const frame = decodedOrTrouble(file.bytes);
    const shown = channel === 'rgb' ? { width: frame.width, height: frame.height, rgb: frame.rgb } : alphaOnly(frame);
    return call.reply.bytes(200, 'image/png', encodePng(shown), disposition);
  }
  const big = state.faults.current.bigOutputBytes;
  if (big !== undefined && type === 'output') {
    return streamZeros(call.reply.response, file.bytes, big, { 'Content-Type': mimeOf(base), ...disposition });
  }
  sendFile(call, file, base, {
    ...disposition,
    ...(state.traits.profile === '0.33.0' && { 'X-Content-Type-Options': 'nosniff' }),
  });
}

/** The hostile-name fault reports names that do not exist: they lead to the newest output. */
function findFile(state: ServerState, type: FolderType, subfolder: string, base: string) {
  const file = state.files.get(type, subfolder, base);
  if (file !== undefined || state.faults.current.filename === undefined) return file;
  return state.files.newest(type);
}

function annotated(filename: string, type: string): { name: string; type: string } {
  const match = /^(.*?) ?\[(output|input|temp)\]$/.exec(filename);
  return match ? { name: match[1] ?? '', type: match[2] ?? '' } : { name: filename, type };
}

function sendPreview(call: Call, bytes: Buffer, preview: string, headers: Record<string, string>): void {
  const frame = decodedOrTrouble(bytes);
  const [format, quality] = preview.split(';');
  const percent = quality !== undefined && /^\d+$/.test(quality) ? Number(quality) : 90;
  if (format === 'jpeg') return call.reply.bytes(200, 'image/jpeg', encodeJpeg(frame, percent), headers);
  call.reply.bytes(200, 'image/webp', encodeWebp([frame]), headers);
}

function decodedOrTrouble(bytes: Buffer): Frame {
  try {
    return decodePng(bytes);
  } catch {
    throw new ServerTrouble('not a picture');
  }
}

function alphaOnly(frame: Frame): Frame {
  const alpha = frame.alpha ?? new Uint8Array(frame.width * frame.height).fill(255);
  return { width: frame.width, height: frame.height, rgb: new Uint8Array(frame.rgb.length), alpha };
}

/** A file with ranges and conditional requests. */
function sendFile(
  call: Call,
  file: { bytes: Buffer; modifiedMs: number },
  name: string,
  headers: Record<string, string>,
): void {
  const etag = `"${sha256(file.bytes).slice(0, 16)}-${file.bytes.length.toString(16)}"`;
  const all = {
    ...headers,
    ETag: etag,
    'Last-Modified': new Date(file.modifiedMs).toUTCString(),
    'Accept-Ranges': 'bytes',
  };
  if (call.request.headers['if-none-match'] === etag) {
    call.reply.response.writeHead(304, { ETag: etag, 'Last-Modified': all['Last-Modified'] });
    call.reply.response.end();
    return;
  }
  const range = parseRange(call.request.headers.range, file.bytes.length);
  if (range === 'unsatisfiable') {
    call.reply.bytes(416, 'application/octet-stream', Buffer.alloc(0), {
      'Content-Range': `bytes */${file.bytes.length}`,
    });
    return;
  }
  if (range === undefined) return call.reply.bytes(200, mimeOf(name), file.bytes, all);
  call.reply.bytes(206, mimeOf(name), file.bytes.subarray(range.start, range.end + 1), {
    ...all,
    'Content-Range': `bytes ${range.start}-${range.end}/${file.bytes.length}`,
  });
}

function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === '' || match[2] === '' ? size - 1 : Math.min(size - 1, Number(match[2]));
  return start >= size || start > end ? 'unsatisfiable' : { start, end };
}
