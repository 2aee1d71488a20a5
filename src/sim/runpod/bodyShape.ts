import { invalid, Refusal } from './problem.ts';

/** The little of JSON Schema that request bodies need, with error texts as RunPod's validator words them. */
export type Shape =
  | {
      readonly is: 'string';
      readonly minLength?: number;
      readonly pattern?: RegExp;
      readonly oneOf?: readonly string[];
      readonly orNull?: boolean;
    }
  | { readonly is: 'integer'; readonly minimum?: number; readonly maximum?: number }
  | { readonly is: 'number'; readonly minimum?: number }
  | { readonly is: 'boolean' }
  | { readonly is: 'array'; readonly of: Shape; readonly maxItems?: number }
  | { readonly is: 'map'; readonly of: Shape }
  | { readonly is: 'object'; readonly fields: Readonly<Record<string, Shape>>; readonly required?: readonly string[] };

const nameOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'object') return 'object';
  return typeof value;
};

const quoted = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ');

/** Every violation, as `path: text`; empty when the value fits. */
export function violations(shape: Shape, value: unknown, path = '$'): string[] {
  const want = shape.is === 'map' ? 'object' : shape.is;
  const got = nameOf(value);
  if (shape.is === 'string' && shape.orNull && value === null) return [];
  if (got !== (want === 'integer' ? 'number' : want)) return [`${path}: got ${got}, want ${want}`];
  switch (shape.is) {
    case 'string': {
      const text = value as string;
      if (shape.oneOf && !shape.oneOf.includes(text)) {
        return [`${path}: value must be one of ${quoted(shape.oneOf)}`];
      }
      if (shape.minLength !== undefined && text.length < shape.minLength) {
        return [`${path}: minLength: got ${text.length}, want ${shape.minLength}`];
      }
      if (shape.pattern && !shape.pattern.test(text)) {
        return [`${path}: '${text}' does not match pattern '${shape.pattern.source}'`];
      }
      return [];
    }
    case 'integer':
    case 'number': {
      const number = value as number;
      if (shape.is === 'integer' && !Number.isInteger(number)) return [`${path}: got number, want integer`];
      if (shape.minimum !== undefined && number < shape.minimum) {
        return [`${path}: minimum: got ${number}, want ${shape.minimum}`];
      }
      if (shape.is === 'integer' && shape.maximum !== undefined && number > shape.maximum) {
        return [`${path}: maximum: got ${number}, want ${shape.maximum}`];
      }
      return [];
    }
    case 'boolean':
      return [];
    case 'array': {
      const items = value as unknown[];
      const tooMany =
        shape.maxItems !== undefined && items.length > shape.maxItems
          ? [`${path}: maxItems: got ${items.length}, want ${shape.maxItems}`]
          : [];
      return [...tooMany, ...items.flatMap((item, index) => violations(shape.of, item, `${path}/${index}`))];
    }
    case 'map':
      return Object.entries(value as object).flatMap(([key, item]) => violations(shape.of, item, `${path}/${key}`));
    case 'object': {
      const fields = value as Record<string, unknown>;
      const missing = (shape.required ?? []).filter((name) => fields[name] === undefined);
      const unknown = Object.keys(fields).filter((name) => !(name in shape.fields));
      // A missing field makes RunPod's validator report valid fields as unexpected too.
      const unexpected = missing.length > 0 ? Object.keys(fields) : unknown;
      return [
        ...missing.map((name) => `${path}: missing property '${name}'`),
        ...(unexpected.length > 0 ? [`${path}: additional properties ${quoted(unexpected)} not allowed`] : []),
        ...Object.entries(shape.fields).flatMap(([name, field]) =>
          fields[name] === undefined ? [] : violations(field, fields[name], `${path}/${name}`),
        ),
      ];
    }
  }
}

/** @throws Refusal 400 for text that is no JSON, 422 for a body that does not fit */
export function parseBody(shape: Shape, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal(400, 'request body is not valid JSON');
  }
  const found = violations(shape, value);
  if (found.length > 0) throw invalid(found);
  return value;
}
