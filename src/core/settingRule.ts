/**
 * What one setting may be, and what stands in for a value that it may not. Made by hand: activation reads the settings,
 * and a schema library would outweigh all else that it loads.
 */
export interface SettingRule<T> {
  readonly fallback: T;
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

export function number(fallback: number, { atLeast }: { readonly atLeast: number }): SettingRule<number> {
  const accepts = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= atLeast;
  return { fallback, accepts, why: `no number from ${String(atLeast)} on` };
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
