/** A picture: 8-bit red, green, blue, row by row; with `alpha`, one byte per pixel more. */
export interface Frame {
  width: number;
  height: number;
  rgb: Uint8Array;
  alpha?: Uint8Array;
}

export function newFrame(width: number, height: number, color = 0): Frame {
  const rgb = new Uint8Array(width * height * 3);
  if (color !== 0) {
    for (let i = 0; i < rgb.length; i += 3) {
      rgb[i] = (color >> 16) & 255;
      rgb[i + 1] = (color >> 8) & 255;
      rgb[i + 2] = color & 255;
    }
  }
  return { width, height, rgb };
}

/** Applies `pixel` to every colour byte. */
export function mapFrame(frame: Frame, pixel: (value: number) => number): Frame {
  const rgb = new Uint8Array(frame.rgb.length);
  for (let i = 0; i < rgb.length; i++) rgb[i] = clampByte(pixel(frame.rgb[i] ?? 0));
  return { width: frame.width, height: frame.height, rgb };
}

export function clampByte(value: number): number {
  if (value <= 0) return 0;
  return value >= 255 ? 255 : Math.round(value);
}

/** Bilinear above the source's size, area average below it; `nearest` keeps hard edges. */
export function scaleFrame(frame: Frame, width: number, height: number, nearest = false): Frame {
  if (frame.width === width && frame.height === height) return frame;
  const out = newFrame(width, height);
  if (nearest) {
    for (let y = 0; y < height; y++) {
      const sy = Math.min(frame.height - 1, Math.floor(((y + 0.5) * frame.height) / height));
      for (let x = 0; x < width; x++) {
        const sx = Math.min(frame.width - 1, Math.floor(((x + 0.5) * frame.width) / width));
        const from = (sy * frame.width + sx) * 3;
        out.rgb.set(frame.rgb.subarray(from, from + 3), (y * width + x) * 3);
      }
    }
    return out;
  }
  const columns = weights(frame.width, width);
  const rows = weights(frame.height, height);
  const wide = new Float32Array(frame.height * width * 3);
  for (let y = 0; y < frame.height; y++) {
    for (let x = 0; x < width; x++) {
      const column = columns[x] as Tap[];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (const tap of column) sum += (frame.rgb[(y * frame.width + tap.at) * 3 + c] ?? 0) * tap.weight;
        wide[(y * width + x) * 3 + c] = sum;
      }
    }
  }
  for (let y = 0; y < height; y++) {
    const row = rows[y] as Tap[];
    for (let i = 0; i < width * 3; i++) {
      let sum = 0;
      for (const tap of row) sum += (wide[tap.at * width * 3 + i] ?? 0) * tap.weight;
      out.rgb[y * width * 3 + i] = clampByte(sum);
    }
  }
  return out;
}

interface Tap {
  at: number;
  weight: number;
}

/** A triangle filter of one source pixel, or of one target pixel where that is larger. */
function weights(from: number, to: number): Tap[][] {
  const ratio = from / to;
  const reach = Math.max(1, ratio);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * ratio - 0.5;
    const taps: Tap[] = [];
    let total = 0;
    for (let at = Math.ceil(centre - reach); at <= Math.floor(centre + reach); at++) {
      const weight = Math.max(0, 1 - Math.abs(at - centre) / reach);
      if (weight === 0) continue;
      taps.push({ at: Math.min(from - 1, Math.max(0, at)), weight });
      total += weight;
    }
    return taps.map((tap) => ({ at: tap.at, weight: tap.weight / total }));
  });
}

/** The centred part of `frame` that has the proportions of `width` : `height`. */
export function cropToRatio(frame: Frame, width: number, height: number): Frame {
  const ratio = width / height;
  const w = Math.min(frame.width, Math.round(frame.height * ratio));
  const h = Math.min(frame.height, Math.round(frame.width / ratio));
  const left = Math.floor((frame.width - w) / 2);
  const top = Math.floor((frame.height - h) / 2);
  const out = newFrame(w, h);
  for (let y = 0; y < h; y++) {
    const from = ((top + y) * frame.width + left) * 3;
    out.rgb.set(frame.rgb.subarray(from, from + w * 3), y * w * 3);
  }
  return out;
}
