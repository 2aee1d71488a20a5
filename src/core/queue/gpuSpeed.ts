/**
 * Assumed speed in diffusion work, RTX 3090 = 1. Rough: it only orders GPUs on which nothing has been measured yet, and
 * is replaced by measured ratios as soon as there are any.
 */
const assumedSpeeds: readonly (readonly [RegExp, number])[] = [
  [/\bB[23]00\b/, 4.5],
  [/\bH[12]00\b/, 3],
  [/RTX PRO 6000/, 2.8],
  [/RTX PRO 4500/, 1.6],
  [/\b5090\b/, 2.6],
  [/\b5080\b/, 1.6],
  [/\b4090\b/, 2],
  [/RTX 6000 Ada|\bL40S?\b/, 1.8],
  [/A100/, 1.7],
  [/RTX 5000 Ada/, 1.4],
  [/\b4080\b/, 1.4],
  [/A6000|\bA40\b/, 0.95],
  [/3090/, 1],
  [/A5000|\bA30\b/, 0.8],
  [/A4500|RTX 4000 Ada/, 0.7],
  [/A4000|\bL4\b/, 0.55],
  [/3070|RTX 2000 Ada/, 0.5],
];

/** Of a card that is on no list: a modest one. */
const unlistedSpeed = 0.7;

export function assumedSpeed(gpu: string): number {
  return assumedSpeeds.find(([pattern]) => pattern.test(gpu))?.[1] ?? unlistedSpeed;
}

/** One name for one card: RunPod writes 'NVIDIA GeForce RTX 4090', ComfyUI 'cuda:0 NVIDIA GeForce RTX 4090 : native'. */
export function gpuKey(name: string | undefined): string {
  if (name === undefined || name.trim() === '') return 'unknown GPU';
  return name
    .replace(/^\w+:\d+ /, '')
    .replace(/ : \w+$/, '')
    .replace(/^NVIDIA /, '')
    .replace(/^GeForce /, '')
    .trim();
}
