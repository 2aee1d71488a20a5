import { crc32, deflateSync } from 'node:zlib';
import { decode } from 'fast-png';
import { clampByte, newFrame, type Frame } from './frame.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A text chunk: keyword and Latin-1 text. ComfyUI's `prompt` and `workflow` are ASCII-only JSON. */
export type PngText = readonly [keyword: string, text: string];

export function encodePng(frame: Frame, texts: readonly PngText[] = [], level = 4): Buffer {
  return Buffer.concat([
    SIGNATURE,
    header(frame),
    ...texts.map(textChunk),
    chunk('IDAT', deflateSync(scanlines(frame), { level })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** An animated PNG that loops for ever; its texts stand in chunks `comf` after the pictures, as ComfyUI writes them. */
export function encodeApng(frames: readonly Frame[], fps: number, texts: readonly PngText[] = [], level = 4): Buffer {
  const first = frames[0] ?? newFrame(1, 1);
  const parts: Buffer[] = [SIGNATURE, header(first)];
  const control = Buffer.alloc(8);
  control.writeUInt32BE(frames.length, 0);
  parts.push(chunk('acTL', control));
  let sequence = 0;
  frames.forEach((frame, index) => {
    const head = Buffer.alloc(26);
    head.writeUInt32BE(sequence++, 0);
    head.writeUInt32BE(frame.width, 4);
    head.writeUInt32BE(frame.height, 8);
    head.writeUInt16BE(Math.max(1, Math.min(65535, Math.round(1000 / fps))), 20);
    head.writeUInt16BE(1000, 22);
    parts.push(chunk('fcTL', head));
    const data = deflateSync(scanlines(frame), { level });
    if (index === 0) {
      parts.push(chunk('IDAT', data));
    } else {
      const numbered = Buffer.alloc(4 + data.length);
      numbered.writeUInt32BE(sequence++, 0);
      data.copy(numbered, 4);
      parts.push(chunk('fdAT', numbered));
    }
  });
  parts.push(...texts.map(([key, text]) => chunk('comf', Buffer.from(`${key}\0${text}`, 'latin1'))));
  parts.push(chunk('IEND', Buffer.alloc(0)));
  return Buffer.concat(parts);
}

/** Decodes any PNG to 8-bit colour. Throws on bytes that are no PNG. */
export function decodePng(bytes: Uint8Array): Frame {
  const png = decode(bytes);
  const { width, height, channels } = png;
  const scale = png.depth === 16 ? 1 / 257 : png.depth === 8 ? 1 : 255 / (2 ** png.depth - 1);
  const frame = newFrame(width, height);
  const palette = png.palette;
  const hasAlpha = palette === undefined && (channels === 2 || channels === 4);
  const alpha = hasAlpha ? new Uint8Array(width * height) : undefined;
  for (let i = 0; i < width * height; i++) {
    const at = i * channels;
    const colour = palette?.[png.data[at] ?? 0];
    for (let c = 0; c < 3; c++) {
      const value = colour ? (colour[c] ?? 0) : (png.data[at + (channels >= 3 ? c : 0)] ?? 0) * scale;
      frame.rgb[i * 3 + c] = clampByte(value);
    }
    if (alpha) alpha[i] = clampByte((png.data[at + channels - 1] ?? 0) * scale);
  }
  return alpha ? { ...frame, alpha } : frame;
}

function header(frame: Frame): Buffer {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(frame.width, 0);
  data.writeUInt32BE(frame.height, 4);
  data[8] = 8;
  data[9] = frame.alpha ? 6 : 2;
  return chunk('IHDR', data);
}

function textChunk([keyword, text]: PngText): Buffer {
  return chunk('tEXt', Buffer.concat([Buffer.from(keyword, 'latin1'), Buffer.from([0]), Buffer.from(text, 'latin1')]));
}

/** Rows with filter 1 (difference from the left pixel), which suits gradients. */
function scanlines(frame: Frame): Buffer {
  const { width, height, rgb, alpha } = frame;
  const pixel = alpha ? 4 : 3;
  const out = Buffer.alloc(height * (1 + width * pixel));
  for (let y = 0; y < height; y++) {
    let at = y * (1 + width * pixel);
    out[at++] = 1;
    const start = at;
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3;
      for (let c = 0; c < 3; c++) out[at++] = rgb[from + c] ?? 0;
      if (alpha) out[at++] = alpha[y * width + x] ?? 0;
    }
    for (let i = at - 1; i >= start + pixel; i--) out[i] = ((out[i] ?? 0) - (out[i - pixel] ?? 0)) & 255;
  }
  return out;
}

function chunk(type: string, data: Buffer): Buffer {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}
