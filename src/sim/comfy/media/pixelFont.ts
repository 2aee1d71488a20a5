import { clampByte, type Frame } from './frame.ts';

/** Letters of 3 x 5 points, one row per digit (bits 4, 2, 1). */
const LETTERS: Record<string, string> = {
  a: '25755',
  d: '65556',
  e: '74647',
  i: '72227',
  l: '44447',
  m: '57755',
  s: '34216',
  t: '72222',
  u: '55557',
};

/** Paints a small translucent mark into the lower right corner, sized to the picture. */
export function stamp(frame: Frame, text: string): void {
  const dot = Math.max(1, Math.round(Math.min(frame.width, frame.height) / 256));
  const width = text.length * 4 * dot;
  const margin = 3 * dot;
  if (frame.width < width + 2 * margin || frame.height < 5 * dot + 2 * margin) return;
  const left = frame.width - width - margin;
  const top = frame.height - 5 * dot - margin;
  [...text].forEach((letter, index) => {
    const rows = LETTERS[letter] ?? '00000';
    for (let row = 0; row < 5; row++) {
      for (let column = 0; column < 3; column++) {
        if (((Number(rows[row]) >> (2 - column)) & 1) === 0) continue;
        fillDot(frame, left + (index * 4 + column) * dot, top + row * dot, dot);
      }
    }
  });
}

function fillDot(frame: Frame, left: number, top: number, size: number): void {
  for (let y = top; y < top + size; y++) {
    for (let x = left; x < left + size; x++) {
      const at = (y * frame.width + x) * 3;
      for (let c = 0; c < 3; c++) frame.rgb[at + c] = clampByte((frame.rgb[at + c] ?? 0) * 0.35 + 255 * 0.65);
    }
  }
}
