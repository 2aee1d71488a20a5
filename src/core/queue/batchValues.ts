import { parseExactly } from '../comfy/workflow.ts';
import { inputFileName } from '../inputs/inputFilesOf.ts';
import type { Takes } from './batchColumns.ts';
import { isNumber } from './batchInputs.ts';

/** What a cell says. 'random' is a seed that is still to be drawn. */
export type CellValue =
  | { readonly is: 'value'; readonly value: unknown }
  | { readonly is: 'random' }
  /** A sentence without the column's name: 'must be …'. */
  | { readonly is: 'wrong'; readonly why: string };

const largestSeed = 2n ** 64n - 1n;
const largestSide = 16_384;

/** Reads one cell; text from a CSV file, any JSON value from JSON Lines. */
export function readCell(raw: unknown, takes: Takes): CellValue {
  if (typeof raw === 'object' && !isNumber(raw)) {
    return wrong(`must be a text, a number, true or false, not ${Array.isArray(raw) ? 'a list' : 'an object'}`);
  }
  const text = isNumber(raw) ? JSON.stringify(raw) : String(raw);
  switch (takes) {
    case 'text':
      return value(text);
    case 'image':
      return inputFileName(text) === undefined
        ? wrong(`must name an image file, not ${quote(text)}`)
        : value(text.trim());
    case 'seed':
      return readSeed(text.trim());
    case 'integer':
      return readInteger(text.trim());
    case 'size':
      return readSize(text.trim());
    case 'number':
      return readNumber(text.trim());
    case 'boolean':
      return readBoolean(text.trim().toLowerCase(), text);
  }
}

/** A whole number within bounds; a sentence when it is none. */
export function readCount(raw: unknown, least: number, most: number): number | string {
  const text = isNumber(raw) ? JSON.stringify(raw) : String(raw).trim();
  const count = /^-?\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return count >= least && count <= most
    ? count
    : `must be a whole number from ${least} to ${most}, not ${quote(text)}`;
}

function readSeed(text: string): CellValue {
  if (text === '-1' || text.toLowerCase() === 'random') return { is: 'random' };
  if (!/^\d{1,20}$/.test(text) || BigInt(text) > largestSeed) {
    return wrong(`must be a whole number from 0 to ${largestSeed}, or -1 for a random one, not ${quote(text)}`);
  }
  return value(exactInteger(BigInt(text)));
}

/** As the workflow's own file is read: digits beyond 2^53 are kept. */
export function exactInteger(digits: bigint): unknown {
  return parseExactly(String(digits));
}

/** `seed` + `step`; within 64 bits it starts again at 0. */
export function seedAfter(seed: unknown, step: number): unknown {
  if (step === 0) return seed;
  return exactInteger((BigInt(JSON.stringify(seed)) + BigInt(step)) % (largestSeed + 1n));
}

function readInteger(text: string): CellValue {
  return /^-?\d{1,15}$/.test(text) ? value(Number(text)) : wrong(`must be a whole number, not ${quote(text)}`);
}

function readSize(text: string): CellValue {
  const pixels = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (pixels >= 16 && pixels <= largestSide && pixels % 8 === 0) return value(pixels);
  if (Number.isNaN(pixels)) return wrong(`must be a whole number of pixels, not ${quote(text)}`);
  if (pixels < 16 || pixels > largestSide) return wrong(`must be from 16 to ${largestSide} pixels, not ${text}`);
  return wrong(`must be a multiple of 8, not ${text}; the nearest is ${Math.round(pixels / 8) * 8}`);
}

/** Spreadsheets of many countries write 7,5. */
function readNumber(text: string): CellValue {
  const plain = /^-?\d+,\d+$/.test(text) ? text.replace(',', '.') : text;
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(plain) ? Number(plain) : Number.NaN;
  return Number.isFinite(number) ? value(number) : wrong(`must be a number, not ${quote(text)}`);
}

function readBoolean(word: string, text: string): CellValue {
  if (['true', 'yes', '1', 'on'].includes(word)) return value(true);
  if (['false', 'no', '0', 'off'].includes(word)) return value(false);
  return wrong(`must be true or false, not ${quote(text)}`);
}

function value(read: unknown): CellValue {
  return { is: 'value', value: read };
}

function wrong(why: string): CellValue {
  return { is: 'wrong', why };
}

function quote(text: string): string {
  return text.length > 40 ? `'${text.slice(0, 39)}…'` : `'${text}'`;
}
