/** Hashing and value noise for painted pictures: the same input always gives the same picture. */

/** 32-bit FNV-1a of a text. */
export function hashText(text: string, seed = 0x811c9dc5): number {
  let hash = seed >>> 0;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash >>> 0;
}

/** A small seeded generator of numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Smooth noise in [0, 1] over the plane. */
export class ValueNoise {
  readonly #lattice: Float32Array;

  constructor(random: () => number) {
    this.#lattice = Float32Array.from({ length: 64 * 64 }, random);
  }

  at(x: number, y: number): number {
    const x0 = Math.floor(x);
    const y0 = Math.floor(y);
    const tx = smooth(x - x0);
    const ty = smooth(y - y0);
    const top = mix(this.#point(x0, y0), this.#point(x0 + 1, y0), tx);
    const bottom = mix(this.#point(x0, y0 + 1), this.#point(x0 + 1, y0 + 1), tx);
    return mix(top, bottom, ty);
  }

  /** Several octaves, still in [0, 1]. */
  layered(x: number, y: number, octaves: number): number {
    let sum = 0;
    let weight = 0.5;
    let total = 0;
    for (let i = 0; i < octaves; i++) {
      sum += this.at(x, y) * weight;
      total += weight;
      weight /= 2;
      x = x * 2 + 17.3;
      y = y * 2 + 5.1;
    }
    return sum / total;
  }

  #point(x: number, y: number): number {
    return this.#lattice[((y & 63) << 6) | (x & 63)] ?? 0;
  }
}

export function mix(a: number, b: number, t: number): number {
  return a + (b - a) * t;
}

export function smooth(t: number): number {
  const clamped = t <= 0 ? 0 : t >= 1 ? 1 : t;
  return clamped * clamped * (3 - 2 * clamped);
}
