import { clampByte, newFrame, type Frame } from './frame.ts';
import { hashText, mix, seededRandom, smooth, ValueNoise } from './noise.ts';
import { paletteOf, type Palette, type Rgb } from './palette.ts';
import { stamp } from './pixelFont.ts';

/** What a simulated sampler paints from: the same brief gives the same picture. */
export interface PaintBrief {
  prompt: string;
  negative: string;
  seed: bigint;
  /** Model, LoRA, sampler, cfg …: changes the picture without changing its subject */
  flavour: string;
  width: number;
  height: number;
}

/** A scene that can be rendered at any size and moment. */
export class Painting {
  readonly #brief: PaintBrief;
  readonly #palette: Palette;
  readonly #noise: ValueNoise;
  readonly #sun: { x: number; y: number; radius: number };
  readonly #ridges: { base: number; height: number; scale: number; shift: number }[];
  readonly #grain: number;

  constructor(brief: PaintBrief) {
    this.#brief = brief;
    const seed = hashText(`${brief.seed}`, hashText(brief.prompt));
    const random = seededRandom(hashText(brief.flavour + brief.negative, seed));
    this.#palette = paletteOf(brief.prompt, Number(brief.seed & 0xffffffffn));
    this.#noise = new ValueNoise(random);
    this.#sun = { x: 0.18 + random() * 0.64, y: 0.18 + random() * 0.3, radius: 0.06 + random() * 0.07 };
    const count = 3 + Math.floor(random() * 3);
    this.#ridges = Array.from({ length: count }, (_, i) => {
      const depth = (i + 1) / count;
      return {
        base: 0.5 + depth * 0.38 + (random() - 0.5) * 0.06,
        height: 0.1 + random() * 0.12 + depth * 0.05,
        scale: 2 + random() * 2.5 - depth,
        shift: random() * 50,
      };
    });
    this.#grain = hashText(brief.flavour, seed);
  }

  /** `phase` 0..1 moves clouds, light and mist for the frames of a video. */
  render(width: number, height: number, phase = 0, marked = true): Frame {
    const frame = newFrame(width, height);
    const ratio = this.#brief.width / this.#brief.height;
    const edges = this.#ridges.map((ridge) => this.#edge(ridge, width, ratio, phase));
    const colour: [number, number, number] = [0, 0, 0];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        this.#sky(x / width, y / height, ratio, phase, colour);
        this.#land(y / height, x, edges, colour);
        const at = (y * width + x) * 3;
        const grain = (((x * 73856093) ^ (y * 19349663) ^ this.#grain) & 7) - 3.5;
        for (let c = 0; c < 3; c++) frame.rgb[at + c] = clampByte((colour[c] ?? 0) + grain * 0.7);
      }
    }
    if (marked) stamp(frame, 'simulated');
    return frame;
  }

  #edge(
    ridge: { base: number; height: number; scale: number; shift: number },
    width: number,
    ratio: number,
    phase: number,
  ): Float32Array {
    const edge = new Float32Array(width);
    const drift = phase * 0.25 * ridge.base;
    for (let x = 0; x < width; x++) {
      const u = (x / width) * ratio * ridge.scale + ridge.shift + drift;
      edge[x] = ridge.base - (this.#noise.layered(u, ridge.shift, 4) - 0.35) * ridge.height * 2;
    }
    return edge;
  }

  #sky(u: number, v: number, ratio: number, phase: number, colour: [number, number, number]): void {
    const { sky, light } = this.#palette;
    const flow = this.#noise.layered(u * ratio * 2.2 + phase * 0.6, v * 3.2 + phase * 0.1, 4);
    const bent = Math.min(1, Math.max(0, v * 1.25 + (flow - 0.5) * 0.35));
    const [from, to, t] = bent < 0.5 ? [sky[0], sky[1], bent * 2] : [sky[1], sky[2], bent * 2 - 1];
    blendInto(colour, from, to, smooth(t));
    const dx = (u - this.#sun.x) * ratio;
    const dy = v - this.#sun.y;
    const distance = Math.sqrt(dx * dx + dy * dy);
    const disc = 1 - smooth((distance - this.#sun.radius) / 0.012);
    const glow = Math.exp((-distance * distance) / 0.055) * 0.55;
    const streak = smooth((this.#noise.layered(u * ratio * 1.4 + phase * 0.9 + 9, v * 9 + flow, 4) - 0.52) * 4);
    toward(colour, light, Math.min(1, disc * 0.95 + glow));
    toward(colour, light, streak * 0.28);
  }

  #land(v: number, x: number, edges: Float32Array[], colour: [number, number, number]): void {
    const { land, sky } = this.#palette;
    edges.forEach((edge, index) => {
      const below = v - (edge[x] ?? 1);
      if (below <= -0.004) return;
      const depth = (index + 1) / edges.length;
      const cover = smooth((below + 0.004) / 0.008);
      const tone: [number, number, number] = [0, 0, 0];
      blendInto(tone, land[0], land[1], depth);
      // Mist: the foot of each ridge fades into the horizon's colour.
      toward(tone, sky[2], (1 - depth) * 0.45 + smooth(below * 4) * 0.3 * (1 - depth));
      toward(colour, tone, cover);
    });
  }
}

/** The picture as a sampler sees it at `progress` 0..1: noise that clears up. */
export function unfinished(frame: Frame, progress: number, seed: number): Frame {
  const random = seededRandom(seed);
  const noise = (1 - progress) ** 1.5;
  const rgb = new Uint8Array(frame.rgb.length);
  for (let i = 0; i < rgb.length; i++) rgb[i] = clampByte(mix(frame.rgb[i] ?? 0, random() * 255, noise * 0.85));
  return { width: frame.width, height: frame.height, rgb };
}

function blendInto(target: [number, number, number], a: Rgb, b: Rgb, t: number): void {
  target[0] = mix(a[0], b[0], t);
  target[1] = mix(a[1], b[1], t);
  target[2] = mix(a[2], b[2], t);
}

function toward(target: [number, number, number], colour: Rgb, t: number): void {
  blendInto(target, target, colour, t);
}
