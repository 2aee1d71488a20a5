/**
 * What one setting may be, and what stands in for a value that it may not. Made by hand: activation reads the settings,
 * and a schema library would outweigh all else that it loads.
 */
export interface SettingRule<T> {
  readonly fallback: T;
  /** Stands in for a value that is refused, where the default would be the dangerous choice. */
  readonly refused?: T;
  readonly accepts: (value: unknown) => value is T;
  /** Why a value is refused, as a clause. */
  readonly why: string;
}

export function flag(fallback: boolean): SettingRule<boolean> {
  return { fallback, accepts: (value) => typeof value === 'boolean', why: 'neither true nor false' };
}

export function text(
  fallback: string,
  accepts: (value: string) => boolean = (value) => value !== '',
  why = 'no text',
): SettingRule<string> {
  return { fallback, accepts: (value): value is string => typeof value === 'string' && accepts(value), why };
}

/** Any number of texts, each of that form. */
export function texts(accepted: (value: string) => boolean, why: string): SettingRule<readonly string[]> {
  const accepts = (value: unknown): value is readonly string[] =>
    Array.isArray(value) && value.every((one) => typeof one === 'string' && accepted(one));
  return { fallback: [], accepts, why };
}

export function number(fallback: number, { atLeast }: { readonly atLeast: number }): SettingRule<number> {
  const accepts = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= atLeast;
  return { fallback, accepts, why: `no number from ${String(atLeast)} on` };
}

/** US dollars; null = no limit, which is not the same as 0. */
export function limit(): SettingRule<number | null> {
  const accepts = (value: unknown): value is number | null =>
    value === null || (Number.isFinite(value) && (value as number) >= 0);
  return { fallback: null, refused: 0, accepts, why: 'no amount from 0 on, so nothing may be spent' };
}

/** One such limit for each of some names; a name that is left out has none. */
export function limits<const T extends string>(
  names: readonly T[],
): SettingRule<{ readonly [Name in T]?: number | null }> {
  const { accepts: isLimit } = limit();
  const accepts = (value: unknown): value is { readonly [Name in T]?: number | null } =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(([name, amount]) => names.includes(name as T) && isLimit(amount));
  const refused = Object.fromEntries(names.map((name) => [name, 0])) as { readonly [Name in T]?: number | null };
  return { fallback: {}, refused, accepts, why: `no amounts from 0 on for some of: ${names.join(', ')}` };
}

export function whole(fallback: number, { atLeast }: { readonly atLeast: number }): SettingRule<number> {
  const accepts = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= atLeast;
  return { fallback, accepts, why: `no whole number from ${String(atLeast)} on` };
}

export function oneOf<const T extends string>(choices: readonly T[], fallback: NoInfer<T>): SettingRule<T> {
  return { fallback, accepts: isOneOf(choices), why: `none of: ${choices.join(', ')}` };
}

/** At least one of the choices, in an order of the person's own. */
export function listOf<const T extends string>(choices: readonly T[]): SettingRule<readonly T[]> {
  const isChoice = isOneOf(choices);
  const accepts = (value: unknown): value is readonly T[] =>
    Array.isArray(value) && value.length > 0 && value.every(isChoice);
  return { fallback: choices, accepts, why: `no list of some of: ${choices.join(', ')}` };
}

function isOneOf<T extends string>(choices: readonly T[]): (value: unknown) => value is T {
  return (value): value is T => choices.includes(value as T);
}
