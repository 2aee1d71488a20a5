import { createHash } from 'node:crypto';

export interface Seeded {
  /** [0, 1) */
  fraction(): number;
  /** lower-case letters and digits */
  id(length: number): string;
}

/** The same seed gives the same ids and delays in the same order. */
export function seeded(seed: number): Seeded {
  let turn = 0;
  const block = (): Buffer => createHash('sha256').update(`${seed}/${turn++}`).digest();
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return {
    fraction: () => block().readUInt32BE(0) / 2 ** 32,
    id: (length) => [...block().subarray(0, length)].map((byte) => alphabet[byte % alphabet.length]).join(''),
  };
}
