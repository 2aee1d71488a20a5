import { decode, hasPngSignature } from 'fast-png';

/** How much of the given image shows in an edit */
const share = 0.72;

/** Lets a given PNG show through RGB pixels, filling the frame, so that an edit is seen to come from its image. */
export function layOver(pixels: Uint8Array, width: number, height: number, image: Uint8Array): void {
  if (!hasPngSignature(image)) return;
  const given = decode(image);
  if (given.depth !== 8 || given.palette !== undefined) return;
  const { channels, data } = given;
  const scale = Math.max(width / given.width, height / given.height);
  const left = (given.width - width / scale) / 2;
  const top = (given.height - height / scale) / 2;
  for (let y = 0; y < height; y++) {
    const row = Math.min(given.height - 1, Math.floor(top + y / scale));
    for (let x = 0; x < width; x++) {
      const column = Math.min(given.width - 1, Math.floor(left + x / scale));
      const from = (row * given.width + column) * channels;
      const to = (y * width + x) * 3;
      for (let c = 0; c < 3; c++) {
        const value = data[from + (channels < 3 ? 0 : c)] ?? 0;
        pixels[to + c] = (pixels[to + c] ?? 0) * (1 - share) + value * share;
      }
    }
  }
}
