type Asynchronous = (...args: never[]) => Promise<unknown>;

/** The methods of T that answer with a promise: those can wait for their own code. */
export type Late<T> = { readonly [K in keyof T as T[K] extends Asynchronous ? K : never]: T[K] };

/** One load is shared by all callers; a failed one is tried again at the next call. */
export function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= load().catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}

/**
 * Stands in for an object, or for a module's functions, whose code is loaded at the first call of one of its methods:
 * what activation does not need stays out of it. Members that do not answer with a promise are given as `atOnce`.
 */
export function late<T extends object>(load: () => Promise<T>): Late<T>;
export function late<T extends object>(load: () => Promise<T>, atOnce: Omit<T, keyof Late<T>>): T;
export function late<T extends object>(load: () => Promise<T>, atOnce: object = {}): object {
  const loaded = once(load);
  const members = new Map<string | symbol, unknown>(Object.entries(atOnce));
  return new Proxy(Object.freeze({}), {
    get(_, name) {
      // Awaiting a thing that has a `then` would call it.
      if (typeof name === 'symbol' || name === 'then') return undefined;
      if (!members.has(name)) {
        members.set(name, async (...args: unknown[]) => {
          const real = (await loaded()) as Record<string, (...given: unknown[]) => unknown>;
          return real[name]?.(...args);
        });
      }
      return members.get(name);
    },
  });
}
