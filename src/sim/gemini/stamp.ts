/** Five columns by seven rows for each letter, one number per row, the highest bit on the left. */
const glyphs: Readonly<Record<string, readonly number[]>> = {
  s: [0, 0, 14, 16, 14, 1, 30],
  i: [4, 0, 12, 4, 4, 4, 14],
  m: [0, 0, 26, 21, 21, 21, 21],
  u: [0, 0, 17, 17, 17, 19, 13],
  l: [12, 4, 4, 4, 4, 4, 14],
  a: [0, 0, 14, 1, 15, 17, 15],
  t: [8, 8, 28, 8, 8, 9, 6],
  e: [0, 0, 14, 17, 31, 16, 14],
  d: [1, 1, 13, 19, 17, 17, 15],
};

/** Writes a small word into the lower right corner of RGB pixels, on a darkened strip, so nobody takes it for real. */
export function stamp(pixels: Uint8Array, width: number, height: number, word: string): void {
  const scale = Math.max(1, Math.round(Math.min(width, height) / 420));
  const margin = 4 * scale;
  const textWidth = word.length * 6 * scale;
  const left = width - textWidth - 2 * margin;
  const top = height - 7 * scale - 3 * margin;
  if (left < 0 || top < 0) return;
  for (let y = top; y < height - margin; y++) {
    for (let x = left; x < width - margin; x++) {
      const at = (y * width + x) * 3;
      const lit = isLit(word, Math.floor((x - left - margin / 2) / scale), Math.floor((y - top - margin) / scale));
      for (let c = 0; c < 3; c++) pixels[at + c] = lit ? 235 : (pixels[at + c] ?? 0) * 0.55;
    }
  }
}

function isLit(word: string, column: number, row: number): boolean {
  const rows = glyphs[word[Math.floor(column / 6)] ?? ''];
  const bits = rows?.[row];
  return bits !== undefined && column % 6 < 5 && column >= 0 && ((bits >> (4 - (column % 6))) & 1) === 1;
}
