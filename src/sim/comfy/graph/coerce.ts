import { pyRepr, type Json } from '../pyJson.ts';

/** Python could not convert the value; the message is Python's. */
export class ConversionError extends Error {}

/** Converts a literal to an input's declared type, as Python's constructors do (comfyui.md 1.3, 'Coercion'). */
export function coerce(type: string, value: Json): Json {
  switch (type) {
    case 'INT':
      return toInt(value);
    case 'FLOAT':
      return toFloat(value);
    case 'STRING':
      return typeof value === 'string' ? value : pyRepr(value);
    case 'BOOLEAN':
      return isTruthy(value);
    default:
      return value;
  }
}

function toInt(value: Json): number | bigint {
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'bigint') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string') {
    const digits = value.trim().replace(/(?<=\d)_(?=\d)/g, '');
    if (!/^[+-]?\d+$/.test(digits)) {
      throw new ConversionError(`invalid literal for int() with base 10: ${pyRepr(value)}`);
    }
    const exact = BigInt(digits.replace(/^\+/, ''));
    return exact >= Number.MIN_SAFE_INTEGER && exact <= Number.MAX_SAFE_INTEGER ? Number(exact) : exact;
  }
  throw new ConversionError(
    `int() argument must be a string, a bytes-like object or a real number, not '${pyType(value)}'`,
  );
}

function toFloat(value: Json): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'string') {
    const text = value.trim();
    if (text === '' || Number.isNaN(Number(text))) {
      throw new ConversionError(`could not convert string to float: ${pyRepr(value)}`);
    }
    return Number(text);
  }
  throw new ConversionError(`float() argument must be a string or a real number, not '${pyType(value)}'`);
}

function isTruthy(value: Json): boolean {
  if (value === null || value === false || value === '') return false;
  if (value === 0 || value === 0n) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object') return Object.keys(value).length > 0;
  return true;
}

/** Name of a value's Python type. */
export function pyType(value: Json): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  return Array.isArray(value) ? 'list' : 'dict';
}
