import { crc32, deflate } from 'node:zlib';
import { promisify } from 'node:util';

const compress = promisify(deflate);

/** Top of the sky, horizon, farthest ridge, nearest ridge, sun. */
type Palette = readonly [number, number, number, number, number];

const ridgeCount = 6;

const defaultPalette: Palette = [0x2b3a67, 0xf6ae84, 0xb57f8b, 0x1d1b33, 0xfff1cf];

const palettes: readonly Palette[] = [
  defaultPalette,
  [0x0f2044, 0x5fb0b7, 0x3d7f93, 0x07141f, 0xf4fbe1],
  [0x5a3d7a, 0xf2a2b8, 0xa8709f, 0x22163a, 0xffe8d6],
  [0x3c78a8, 0xdcecf0, 0x9dbfd0, 0x1c3d52, 0xfffdf2],
  [0x12324a, 0xf3c677, 0xc0834f, 0x1f1410, 0xfff6d5],
  [0x234d3c, 0xcfe3a8, 0x86ad76, 0x0d231b, 0xfdffe3],
  [0x090b22, 0x3a3f7d, 0x2c2f63, 0x04050f, 0xe7ecff],
  [0x8c2f39, 0xffb86b, 0xd17a55, 0x2a0d13, 0xfff0c2],
];

/** A repeatable stream of numbers in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A 32-bit number from a text (FNV-1a). */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function channel(colour: number, index: number): number {
  return (colour >> (16 - 8 * index)) & 255;
}

/** Layered hills under a sun: RGB bytes, row by row, decided by the seed alone. */
export function paintLandscape(width: number, height: number, seed: number): Uint8Array {
  const random = randomFrom(seed);
  const [zenith, horizon, far, near, sun] = palettes[Math.floor(random() * palettes.length)] ?? defaultPalette;
  const unit = Math.min(width, height);
  const sunX = width * (0.2 + 0.6 * random());
  const sunY = height * (0.18 + 0.25 * random());
  const sunRadius = unit * (0.05 + 0.05 * random());
  const tops = ridgeTops(width, height, random);
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const down = Math.min(1, y / (height * 0.68));
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      let ridge = ridgeCount - 1;
      while (ridge >= 0 && y < (tops[ridge * width + x] ?? 0)) ridge--;
      if (ridge >= 0) {
        const nearness = ridge / (ridgeCount - 1);
        const depth = (y - (tops[ridge * width + x] ?? 0)) / (unit * 0.9);
        const mist = Math.max(0, 0.28 - depth) * (1 - nearness);
        for (let c = 0; c < 3; c++) {
          const own = mix(channel(far, c), channel(near, c), nearness);
          pixels[at + c] = mix(own, channel(horizon, c), mist);
        }
        continue;
      }
      const distance = Math.hypot(x - sunX, y - sunY);
      const glow = distance < sunRadius ? 1 : Math.min(0.8, (sunRadius / distance) ** 1.4 * 0.7);
      for (let c = 0; c < 3; c++) {
        pixels[at + c] = mix(mix(channel(zenith, c), channel(horizon, c), down), channel(sun, c), glow);
      }
    }
  }
  return pixels;
}

function mix(from: number, to: number, part: number): number {
  return from + (to - from) * part;
}

/** The row at which each ridge starts in every column, ridge after ridge; the last is the nearest. */
function ridgeTops(width: number, height: number, random: () => number): Float32Array {
  const tops = new Float32Array(ridgeCount * width);
  for (let ridge = 0; ridge < ridgeCount; ridge++) {
    const base = height * (0.5 + 0.085 * ridge + 0.02 * random());
    const waves = Array.from({ length: 5 }, (_, k) => ({
      reach: (height * (0.075 - 0.004 * ridge)) / (1 + k * 1.35),
      turns: (1.1 + k * 2.3 + random() * 1.7) * Math.max(0.4, width / height),
      phase: random() * Math.PI * 2,
    }));
    for (let x = 0; x < width; x++) {
      let top = base;
      for (const wave of waves) top += wave.reach * Math.sin((x / width) * wave.turns * Math.PI + wave.phase);
      tops[ridge * width + x] = top;
    }
  }
  return tops;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}

/** An RGB PNG. `paddingBytes` are carried in a private chunk that viewers skip: for bodies of a wanted size. */
export async function encodePng(
  pixels: Uint8Array,
  width: number,
  height: number,
  paddingBytes: number,
): Promise<Buffer> {
  const row = width * 3;
  const filtered = Buffer.alloc((row + 1) * height);
  for (let y = 0; y < height; y++) {
    const out = y * (row + 1);
    // Filter 2 (up) makes the smooth vertical gradients nearly free to store.
    filtered[out] = y === 0 ? 0 : 2;
    for (let i = 0; i < row; i++) {
      filtered[out + 1 + i] = (pixels[y * row + i] ?? 0) - (y === 0 ? 0 : (pixels[(y - 1) * row + i] ?? 0));
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = 2;
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...(paddingBytes > 0 ? [chunk('paDd', Buffer.alloc(paddingBytes, 0xa5))] : []),
    chunk('IDAT', await compress(filtered, { level: 3 })),
    chunk('IEND', new Uint8Array(0)),
  ]);
}
