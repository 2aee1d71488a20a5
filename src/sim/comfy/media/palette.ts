import { hashText, seededRandom } from './noise.ts';

/** Linear steps of a picture's colours, each 0..255. */
export type Rgb = readonly [r: number, g: number, b: number];

export interface Palette {
  /** Top of the sky to the horizon */
  sky: readonly [Rgb, Rgb, Rgb];
  light: Rgb;
  /** Far ridge to near ridge */
  land: readonly [Rgb, Rgb];
}

/** Words that pull the hue of a picture (degrees), so that a prompt visibly matters. */
const WORD_HUES: readonly (readonly [pattern: RegExp, hue: number])[] = [
  [/\b(sunset|dawn|sunrise|fire|lava|autumn|orange|amber)\b/i, 22],
  [/\b(desert|sand|gold|golden|wheat|yellow)\b/i, 42],
  [/\b(forest|jungle|moss|meadow|grass|green|emerald|tree)/i, 135],
  [/\b(sea|ocean|lake|river|water|teal|turquoise)\b/i, 188],
  [/\b(sky|ice|snow|winter|blue|rain|glacier)\b/i, 212],
  [/\b(night|space|galaxy|cosmic|cyber|neon|purple|violet)\b/i, 268],
  [/\b(rose|pink|blossom|cherry|magenta|love)\b/i, 328],
  [/\b(red|blood|ruby|crimson|mars)\b/i, 356],
];

export function paletteOf(prompt: string, seed: number): Palette {
  const random = seededRandom(hashText(prompt, seed));
  const named = WORD_HUES.filter(([pattern]) => pattern.test(prompt)).map(([, hue]) => hue);
  const own = random() * 360;
  const hue = named.length > 0 ? (named[Math.floor(random() * named.length)] ?? own) + (random() - 0.5) * 24 : own;
  const isNight = /\b(night|dark|space|galaxy|moon)\b/i.test(prompt);
  const turn = 28 + random() * 40;
  const dim = isNight ? 0.45 : 1;
  return {
    sky: [
      fromHsl(hue + turn, 0.55, 0.3 * dim),
      fromHsl(hue + turn / 2, 0.6, 0.52 * dim),
      fromHsl(hue - turn / 2, 0.75, 0.76 * (isNight ? 0.62 : 1)),
    ],
    light: fromHsl(isNight ? 210 : hue - turn, isNight ? 0.3 : 0.9, 0.9),
    land: [fromHsl(hue + 8, 0.38, 0.5 * dim), fromHsl(hue + turn * 1.4, 0.5, 0.12)],
  };
}

/** Hue in degrees, the others 0..1 */
function fromHsl(hue: number, saturation: number, lightness: number): Rgb {
  const h = (((hue % 360) + 360) % 360) / 30;
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (n: number): number => {
    const k = (n + h) % 12;
    return 255 * (lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}
