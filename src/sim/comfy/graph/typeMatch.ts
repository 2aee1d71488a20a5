import type { InputSpec } from '../nodes/nodeType.ts';
import { pyRepr } from '../pyJson.ts';

/** Whether an output of type `received` may be linked to an input of this spec: equal, overlapping lists, or `*`. */
export function fits(received: string, spec: InputSpec): boolean {
  const wanted = spec[0];
  if (typeof wanted !== 'string') return received === '*' || received === 'COMBO';
  if (received === wanted || wanted === '*' || received === '*' || wanted === 'COMFY_MATCHTYPE_V3') return true;
  const offered = splitTypes(received);
  return splitTypes(wanted).some((type) => offered.includes(type));
}

/** An input type as it appears in messages. */
export function typeText(spec: InputSpec): string {
  return typeof spec[0] === 'string' ? spec[0] : pyRepr([...spec[0]]);
}

function splitTypes(type: string): string[] {
  return type.split(',').map((part) => part.trim());
}
