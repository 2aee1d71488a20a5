import type { Frame } from './frame.ts';
import { canonicalCodes, codeLengths } from './huffman.ts';

/**
 * A lossless WebP encoder (RFC 9649), literals only: subtract-green and one gradient predictor, then a prefix code
 * per channel. Several frames make an animation that loops for ever. `exif` is a whole EXIF block.
 */
export function encodeWebp(frames: readonly Frame[], fps = 1, exif?: Buffer): Buffer {
  const first = frames[0];
  if (first === undefined) throw new RangeError('a picture needs a frame');
  const chunks: Buffer[] = [];
  if (frames.length === 1 && exif === undefined) {
    chunks.push(chunk('VP8L', encodeLossless(first)));
  } else {
    const isAnimated = frames.length > 1;
    chunks.push(chunk('VP8X', extendedHeader(first, isAnimated, exif !== undefined)));
    if (isAnimated) {
      chunks.push(chunk('ANIM', Buffer.alloc(6)));
      let shown: { frame: Frame; data: Buffer } | undefined;
      for (const frame of frames) {
        // Repeated frames are common (RepeatImageBatch) and cost nothing to encode again.
        if (shown?.frame !== frame) shown = { frame, data: chunk('VP8L', encodeLossless(frame)) };
        chunks.push(chunk('ANMF', Buffer.concat([frameHeader(frame, 1000 / fps), shown.data])));
      }
    } else {
      chunks.push(chunk('VP8L', encodeLossless(first)));
    }
    if (exif) chunks.push(chunk('EXIF', exif));
  }
  const body = Buffer.concat([Buffer.from('WEBP', 'latin1'), ...chunks]);
  return chunk('RIFF', body);
}

const ANIMATION_FLAG = 0x02;
const EXIF_FLAG = 0x08;

function extendedHeader(frame: Frame, isAnimated: boolean, hasExif: boolean): Buffer {
  const head = Buffer.alloc(10);
  head[0] = (isAnimated ? ANIMATION_FLAG : 0) | (hasExif ? EXIF_FLAG : 0);
  head.writeUIntLE(frame.width - 1, 4, 3);
  head.writeUIntLE(frame.height - 1, 7, 3);
  return head;
}

function frameHeader(frame: Frame, durationMs: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeUIntLE(frame.width - 1, 6, 3);
  head.writeUIntLE(frame.height - 1, 9, 3);
  head.writeUIntLE(Math.min(0xffffff, Math.max(1, Math.round(durationMs))), 12, 3);
  // Do not blend with the frame before.
  head[15] = 0x02;
  return head;
}

function chunk(type: string, data: Buffer): Buffer {
  const out = Buffer.alloc(8 + data.length + (data.length & 1));
  out.write(type, 0, 'latin1');
  out.writeUInt32LE(data.length, 4);
  data.copy(out, 8);
  return out;
}

const SUBTRACT_GREEN = 2;
const PREDICTOR = 0;
/** Predictor 12: left + top - top left, clamped */
const GRADIENT = 12;
/** Predictor blocks of 512 pixels, the largest there are */
const BLOCK_BITS = 9;
const GREEN_SYMBOLS = 280;

function encodeLossless(frame: Frame): Buffer {
  const { width, height } = frame;
  const residuals = predict(frame);
  const out = new LsbSink(width * height + 1024);
  out.put(0x2f, 8);
  out.put(width - 1, 14);
  out.put(height - 1, 14);
  out.put(0, 1 + 3);
  out.put(1, 1);
  out.put(SUBTRACT_GREEN, 2);
  out.put(1, 1);
  out.put(PREDICTOR, 2);
  out.put(BLOCK_BITS - 2, 3);
  // The predictor's own image: every block says the same, so each of its codes has one symbol and takes no bits.
  out.put(0, 1);
  for (const symbol of [GRADIENT, 0, 0, 0, 0]) putSingle(out, symbol);
  out.put(0, 1);
  // Neither colour cache nor several sets of codes
  out.put(0, 2);
  const channels = [residuals.green, residuals.red, residuals.blue].map((channel, index) =>
    putCode(out, channel, index === 0 ? GREEN_SYMBOLS : 256),
  );
  putSingle(out, 0);
  putSingle(out, 0);
  const [green, red, blue] = channels;
  for (let i = 0; i < width * height; i++) {
    putSymbol(out, green, residuals.green[i] ?? 0);
    putSymbol(out, red, residuals.red[i] ?? 0);
    putSymbol(out, blue, residuals.blue[i] ?? 0);
  }
  return out.done();
}

interface Code {
  lengths: Uint8Array;
  /** Bits reversed: the stream's first bit is the lowest */
  codes: Uint32Array;
}

function putSymbol(out: LsbSink, code: Code | undefined, symbol: number): void {
  if (code) out.put(code.codes[symbol] ?? 0, code.lengths[symbol] ?? 0);
}

/** Writes the code of a channel. Undefined when it has one symbol only, which then takes no bits. */
function putCode(out: LsbSink, values: Uint8Array, symbols: number): Code | undefined {
  const counts = new Uint32Array(symbols);
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  const used = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  if (used === 1) {
    putSingle(out, values[0] ?? 0);
    return undefined;
  }
  const lengths = codeLengths(counts, 15);
  out.put(0, 1);
  // Lengths are written as plain 4-bit numbers: a code of sixteen codes of four bits, listed in the format's order.
  out.put(19 - 4, 4);
  for (const symbol of LENGTH_ORDER) out.put(symbol < 16 ? 4 : 0, 3);
  out.put(0, 1);
  for (const length of lengths) out.put(reversed(length, 4), 4);
  const codes = canonicalCodes(lengths).map((code, symbol) => reversed(code, lengths[symbol] ?? 0));
  return { lengths, codes };
}

function putSingle(out: LsbSink, symbol: number): void {
  out.put(1, 1);
  out.put(0, 1);
  out.put(1, 1);
  out.put(symbol, 8);
}

const LENGTH_ORDER = [17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

function reversed(value: number, length: number): number {
  let out = 0;
  for (let i = 0; i < length; i++) out |= ((value >> i) & 1) << (length - 1 - i);
  return out;
}

function predict(frame: Frame): { green: Uint8Array; red: Uint8Array; blue: Uint8Array } {
  const { width, height, rgb } = frame;
  const green = new Uint8Array(width * height);
  const red = new Uint8Array(width * height);
  const blue = new Uint8Array(width * height);
  for (let i = 0; i < width * height; i++) {
    const g = rgb[i * 3 + 1] ?? 0;
    green[i] = g;
    red[i] = (rgb[i * 3] ?? 0) - g;
    blue[i] = (rgb[i * 3 + 2] ?? 0) - g;
  }
  return { green: gradient(green, width), red: gradient(red, width), blue: gradient(blue, width) };
}

/** The first pixel is predicted as black, the first row from the left, the first column from above. */
function gradient(channel: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(channel.length);
  for (let i = 0; i < channel.length; i++) {
    const isTop = i < width;
    const isLeft = i % width === 0;
    let guess = 0;
    if (isTop) guess = isLeft ? 0 : (channel[i - 1] ?? 0);
    else if (isLeft) guess = channel[i - width] ?? 0;
    else {
      const sum = (channel[i - 1] ?? 0) + (channel[i - width] ?? 0) - (channel[i - width - 1] ?? 0);
      guess = sum < 0 ? 0 : sum > 255 ? 255 : sum;
    }
    out[i] = (channel[i] ?? 0) - guess;
  }
  return out;
}

/** Bits, lowest first */
class LsbSink {
  #buffer: Buffer;
  #at = 0;
  #held = 0;
  #count = 0;

  constructor(capacity: number) {
    this.#buffer = Buffer.alloc(Math.max(64, capacity));
  }

  /** At most 24 bits at a time */
  put(value: number, length: number): void {
    this.#held |= value << this.#count;
    this.#count += length;
    while (this.#count >= 8) {
      this.#byte(this.#held & 255);
      this.#held >>>= 8;
      this.#count -= 8;
    }
  }

  done(): Buffer {
    if (this.#count > 0) this.#byte(this.#held & 255);
    return this.#buffer.subarray(0, this.#at);
  }

  #byte(value: number): void {
    if (this.#at === this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer, Buffer.alloc(this.#at)]);
    this.#buffer[this.#at++] = value;
  }
}
