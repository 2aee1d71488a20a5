import { pyJson, type JsonObject } from '../pyJson.ts';

/** Event numbers of binary frames (comfyui.md 2.4). */
const PREVIEW_IMAGE = 1;
const TEXT = 3;
const PREVIEW_IMAGE_WITH_METADATA = 4;
const JPEG = 1;

export function previewFrame(jpeg: Buffer): Buffer {
  return Buffer.concat([uint32(PREVIEW_IMAGE), uint32(JPEG), jpeg]);
}

export function textFrame(nodeId: string, text: string): Buffer {
  const id = Buffer.from(nodeId, 'utf8');
  return Buffer.concat([uint32(TEXT), uint32(id.length), id, Buffer.from(text, 'utf8')]);
}

export function previewWithMetadata(metadata: JsonObject, jpeg: Buffer): Buffer {
  const json = Buffer.from(pyJson(metadata), 'utf8');
  return Buffer.concat([uint32(PREVIEW_IMAGE_WITH_METADATA), uint32(json.length), json, jpeg]);
}

function uint32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value, 0);
  return out;
}
