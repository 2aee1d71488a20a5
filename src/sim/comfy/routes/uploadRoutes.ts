import { isFolderType, normalizeInside, sha256, splitPath, type FolderType } from '../files/fileStore.ts';
import { ServerTrouble } from '../graph/promptError.ts';
import { readForm, type Form } from '../http/multipart.ts';
import { route, type Call, type Route } from '../http/route.ts';
import { decodePng, encodePng } from '../media/png.ts';
import { scaleFrame } from '../media/frame.ts';
import { isObject, parsePyJson, type Json } from '../pyJson.ts';
import type { ServerState } from '../serverState.ts';

/** `POST /upload/image` and `/upload/mask` (comfyui.md 1.5). */
export function uploadRoutes(state: ServerState): Route[] {
  return [
    route('POST', '/upload/image', async (call) => {
      const form = await readForm(call.request);
      upload(call, form, state, (bytes) => bytes);
    }),
    route('POST', '/upload/mask', async (call) => {
      const form = await readForm(call.request);
      upload(call, form, state, (bytes) => maskedOriginal(bytes, form, state));
    }),
  ];
}

/** `content` gives what is to be written; undefined writes nothing, and the reply is the same. */
function upload(call: Call, form: Form, state: ServerState, content: (bytes: Buffer) => Buffer | undefined): void {
  const type = form.fields.get('type') ?? 'input';
  if (!isFolderType(type)) throw new ServerTrouble('unknown folder type');
  const image = form.files.get('image');
  if (image === undefined || image.filename === '') return call.reply.empty(400);
  const given = form.fields.get('subfolder') ?? '';
  const folder = normalizeInside(given);
  // A name may climb out of its sub-folder as long as it stays inside the upload folder.
  const path = normalizeInside(folder ? `${folder}/${image.filename}` : image.filename);
  if (folder === undefined || path === undefined) return call.reply.empty(400);
  const overwrites = ['true', '1'].includes(form.fields.get('overwrite') ?? '');
  const free = overwrites ? { path, exists: false } : freeName(state, type, path, image.bytes);
  if (!free.exists) {
    const bytes = content(image.bytes);
    const place = splitPath(free.path);
    if (bytes) state.files.write(type, place.subfolder, place.name, bytes);
  }
  call.reply.json({ name: splitPath(free.path).name, subfolder: given, type });
}

/** The name itself, or `name (1).png` and so on; a file of equal bytes is used again. */
function freeName(
  state: ServerState,
  type: FolderType,
  path: string,
  bytes: Buffer,
): { path: string; exists: boolean } {
  const { subfolder, name } = splitPath(path);
  const dot = name.lastIndexOf('.');
  const stem = dot > 0 ? name.slice(0, dot) : name;
  const extension = dot > 0 ? name.slice(dot) : '';
  for (let i = 0; ; i++) {
    const tried = i === 0 ? name : `${stem} (${i})${extension}`;
    const tryPath = subfolder === '' ? tried : `${subfolder}/${tried}`;
    const known = state.files.get(type, subfolder, tried);
    if (known === undefined) return { path: tryPath, exists: false };
    if (sha256(known.bytes) === sha256(bytes)) return { path: tryPath, exists: true };
  }
}

/** The original with the mask's alpha; undefined when there is no original. */
function maskedOriginal(bytes: Buffer, form: Form, state: ServerState): Buffer | undefined {
  const reference = parseReference(form.fields.get('original_ref'));
  const type = reference['type'] ?? 'output';
  const name = reference['filename'];
  const subfolder = reference['subfolder'] ?? '';
  if (typeof type !== 'string' || !isFolderType(type) || typeof name !== 'string' || typeof subfolder !== 'string') {
    throw new ServerTrouble('a broken reference');
  }
  const original = state.files.get(type, subfolder, name);
  if (original === undefined) return undefined;
  const picture = decodePng(original.bytes);
  const mask = decodePng(bytes);
  const alpha = mask.alpha ?? new Uint8Array(mask.width * mask.height).fill(255);
  // The alpha plane is scaled as if it were a grey picture.
  const grey = Uint8Array.from({ length: alpha.length * 3 }, (_, i) => alpha[Math.floor(i / 3)] ?? 255);
  const scaled = scaleFrame({ width: mask.width, height: mask.height, rgb: grey }, picture.width, picture.height);
  const plane = Uint8Array.from({ length: picture.width * picture.height }, (_, i) => scaled.rgb[i * 3] ?? 255);
  return encodePng({ width: picture.width, height: picture.height, rgb: picture.rgb, alpha: plane });
}

function parseReference(text: string | undefined): Record<string, Json | undefined> {
  try {
    const value = parsePyJson(text ?? '');
    if (isObject(value)) return value;
  } catch {
    // Falls through to the same answer.
  }
  throw new ServerTrouble('original_ref is missing or broken');
}
