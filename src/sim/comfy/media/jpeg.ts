import type { Frame } from './frame.ts';

/**
 * A baseline JPEG encoder (ITU-T T.81, tables of its annex K), 4:4:4, for previews and `/view?preview=jpeg`.
 */
export function encodeJpeg(frame: Frame, quality = 90): Buffer {
  const luma = scaledTable(LUMA_QUANT, quality);
  const chroma = scaledTable(CHROMA_QUANT, quality);
  const out = new BitSink();
  out.bytes(0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0);
  out.bytes(0xff, 0xdb, 0, 132, 0, ...ZIGZAG.map((i) => luma[i] ?? 1), 1, ...ZIGZAG.map((i) => chroma[i] ?? 1));
  const { width, height } = frame;
  out.bytes(0xff, 0xc0, 0, 17, 8, height >> 8, height & 255, width >> 8, width & 255);
  out.bytes(3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1);
  for (const [id, table] of [
    [0x00, DC_LUMA],
    [0x10, AC_LUMA],
    [0x01, DC_CHROMA],
    [0x11, AC_CHROMA],
  ] as const) {
    out.bytes(0xff, 0xc4, 0, 19 + table.values.length, id, ...table.counts, ...table.values);
  }
  out.bytes(0xff, 0xda, 0, 12, 3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0);
  encodeScan(frame, luma, chroma, out);
  out.flush();
  out.bytes(0xff, 0xd9);
  return out.done();
}

interface HuffmanTable {
  counts: readonly number[];
  values: readonly number[];
}

interface Codes {
  code: Uint16Array;
  length: Uint8Array;
}

class BitSink {
  #buffer = Buffer.alloc(64 * 1024);
  #at = 0;
  #bits = 0;
  #held = 0;

  bytes(...values: number[]): void {
    for (const value of values) this.#byte(value);
  }

  put(code: number, length: number): void {
    for (let i = length - 1; i >= 0; i--) {
      this.#bits = (this.#bits << 1) | ((code >> i) & 1);
      if (++this.#held === 8) {
        this.#byte(this.#bits);
        if (this.#bits === 0xff) this.#byte(0);
        this.#bits = 0;
        this.#held = 0;
      }
    }
  }

  flush(): void {
    while (this.#held !== 0) this.put(1, 1);
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  #byte(value: number): void {
    if (this.#at === this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer, Buffer.alloc(this.#at)]);
    this.#buffer[this.#at++] = value;
  }
}

function encodeScan(frame: Frame, luma: number[], chroma: number[], out: BitSink): void {
  const components = [
    { quant: luma, dc: codesOf(DC_LUMA), ac: codesOf(AC_LUMA), last: 0 },
    { quant: chroma, dc: codesOf(DC_CHROMA), ac: codesOf(AC_CHROMA), last: 0 },
    { quant: chroma, dc: codesOf(DC_CHROMA), ac: codesOf(AC_CHROMA), last: 0 },
  ];
  const block = new Float64Array(64);
  for (let top = 0; top < frame.height; top += 8) {
    for (let left = 0; left < frame.width; left += 8) {
      components.forEach((component, index) => {
        readBlock(frame, left, top, index, block);
        component.last = encodeBlock(forwardDct(block), component, out);
      });
    }
  }
}

/** Edge pixels are repeated beyond the picture. */
function readBlock(frame: Frame, left: number, top: number, component: number, block: Float64Array): void {
  for (let y = 0; y < 8; y++) {
    const row = Math.min(frame.height - 1, top + y);
    for (let x = 0; x < 8; x++) {
      const at = (row * frame.width + Math.min(frame.width - 1, left + x)) * 3;
      const r = frame.rgb[at] ?? 0;
      const g = frame.rgb[at + 1] ?? 0;
      const b = frame.rgb[at + 2] ?? 0;
      block[y * 8 + x] =
        component === 0
          ? 0.299 * r + 0.587 * g + 0.114 * b - 128
          : component === 1
            ? -0.168736 * r - 0.331264 * g + 0.5 * b
            : 0.5 * r - 0.418688 * g - 0.081312 * b;
    }
  }
}

const COSINES = Float64Array.from({ length: 64 }, (_, i) => {
  const u = i >> 3;
  const x = i & 7;
  return (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
});

function forwardDct(block: Float64Array): Float64Array {
  const rows = new Float64Array(64);
  const out = new Float64Array(64);
  for (let y = 0; y < 8; y++) {
    for (let u = 0; u < 8; u++) {
      let sum = 0;
      for (let x = 0; x < 8; x++) sum += (block[y * 8 + x] ?? 0) * (COSINES[u * 8 + x] ?? 0);
      rows[y * 8 + u] = sum;
    }
  }
  for (let u = 0; u < 8; u++) {
    for (let v = 0; v < 8; v++) {
      let sum = 0;
      for (let y = 0; y < 8; y++) sum += (rows[y * 8 + u] ?? 0) * (COSINES[v * 8 + y] ?? 0);
      out[v * 8 + u] = sum;
    }
  }
  return out;
}

/** Writes one block; returns its DC value, which the next block of the component is measured from. */
function encodeBlock(
  coefficients: Float64Array,
  component: { quant: number[]; dc: Codes; ac: Codes; last: number },
  out: BitSink,
): number {
  const { quant, dc, ac, last } = component;
  const at = (i: number): number => {
    const position = ZIGZAG[i] ?? 0;
    return Math.round((coefficients[position] ?? 0) / (quant[position] ?? 1));
  };
  const first = at(0);
  const difference = first - last;
  const size = bitLength(difference);
  out.put(dc.code[size] ?? 0, dc.length[size] ?? 0);
  putValue(difference, size, out);
  let zeros = 0;
  for (let i = 1; i < 64; i++) {
    const value = at(i);
    if (value === 0) {
      zeros++;
      continue;
    }
    for (; zeros > 15; zeros -= 16) out.put(ac.code[0xf0] ?? 0, ac.length[0xf0] ?? 0);
    const bits = bitLength(value);
    const symbol = (zeros << 4) | bits;
    out.put(ac.code[symbol] ?? 0, ac.length[symbol] ?? 0);
    putValue(value, bits, out);
    zeros = 0;
  }
  if (zeros > 0) out.put(ac.code[0] ?? 0, ac.length[0] ?? 0);
  return first;
}

function bitLength(value: number): number {
  return value === 0 ? 0 : 32 - Math.clz32(Math.abs(value));
}

function putValue(value: number, size: number, out: BitSink): void {
  if (size > 0) out.put(value < 0 ? value + (1 << size) - 1 : value, size);
}

function codesOf(table: HuffmanTable): Codes {
  const code = new Uint16Array(256);
  const length = new Uint8Array(256);
  let next = 0;
  let at = 0;
  table.counts.forEach((count, index) => {
    for (let i = 0; i < count; i++) {
      const symbol = table.values[at++] ?? 0;
      code[symbol] = next++;
      length[symbol] = index + 1;
    }
    next <<= 1;
  });
  return { code, length };
}

function scaledTable(table: readonly number[], quality: number): number[] {
  const q = Math.max(1, Math.min(100, quality));
  const scale = q < 50 ? 5000 / q : 200 - q * 2;
  return table.map((value) => Math.max(1, Math.min(255, Math.floor((value * scale + 50) / 100))));
}

const ZIGZAG = [
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47,
  55, 62, 63,
];

const LUMA_QUANT = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
  87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
  72, 92, 95, 98, 112, 100, 103, 99,
];

const CHROMA_QUANT = [
  17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99,
];

const DC_VALUES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const DC_LUMA: HuffmanTable = { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], values: DC_VALUES };
const DC_CHROMA: HuffmanTable = { counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], values: DC_VALUES };

/**
 * AC codes: the ten sizes after each run of zeros, plus end-of-block (0x00) and sixteen zeros (0xf0). Any complete
 * prefix code is legal in a file that carries its tables; this one gives short codes to short runs and small values.
 */
const AC_LUMA = acTable(1);
const AC_CHROMA = acTable(1.35);

function acTable(steepness: number): HuffmanTable {
  const symbols: { symbol: number; weight: number }[] = [
    { symbol: 0x00, weight: 0.5 },
    { symbol: 0xf0, weight: 6.5 },
  ];
  for (let run = 0; run < 16; run++) {
    for (let size = 1; size <= 10; size++) {
      symbols.push({ symbol: (run << 4) | size, weight: (size - 1) * steepness + run * 0.7 });
    }
  }
  const values = symbols.sort((a, b) => a.weight - b.weight).map((entry) => entry.symbol);
  // Counts per code length that fill a tree of depth 16 without its last leaf, which JPEG forbids.
  const counts = [0, 1, 3, 3, 2, 3, 3, 4, 4, 5, 6, 6, 6, 6, 0, 0];
  const used = counts.reduce((sum, count) => sum + count, 0);
  counts[15] = values.length - used;
  return { counts, values };
}
