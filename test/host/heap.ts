import { Session } from 'node:inspector/promises';
import { fileURLToPath } from 'node:url';

/**
 * The scripts whose functions wait in a timer of this process. They are found in the heap, since most of what matters has
 * been set before a test could have listened.
 */
export async function timerScripts(): Promise<readonly string[]> {
  const session = new Session();
  session.connect();
  const urls = new Map<string, string>();
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url));
  try {
    await session.post('Debugger.enable');
    const own = setTimeout(() => undefined, 0);
    const timers = await living<Waiting>(session, Object.getPrototypeOf(own) as object);
    clearTimeout(own);
    const found: string[] = [];
    for (const timer of timers.filter(({ _destroyed }) => !_destroyed)) {
      const scriptId = await scriptOf(session, timer._onTimeout);
      const url = scriptId === undefined ? undefined : urls.get(scriptId);
      if (url !== undefined) found.push(url.startsWith('file:') ? fileURLToPath(url) : url);
    }
    return found;
  } finally {
    session.disconnect();
  }
}

/** All objects of this process that were made as `example` was. */
export async function likeThis<T extends object>(example: T): Promise<readonly T[]> {
  const session = new Session();
  session.connect();
  try {
    return await living<T>(session, Object.getPrototypeOf(example) as object);
  } finally {
    session.disconnect();
  }
}

/** A timer of Node that has not fired and was not cleared is not destroyed. */
interface Waiting {
  readonly _destroyed: boolean;
  readonly _onTimeout: unknown;
}

/** Where the inspector and the test meet. */
const exchange = Symbol.for('podrelay.test.exchange');
const table = globalThis as unknown as Record<symbol, unknown>;
const onTable = `globalThis[Symbol.for('podrelay.test.exchange')]`;

async function living<T>(session: Session, prototype: object): Promise<readonly T[]> {
  table[exchange] = prototype;
  const { result } = await session.post('Runtime.evaluate', { expression: onTable });
  const { objects } = await session.post('Runtime.queryObjects', { prototypeObjectId: result.objectId ?? '' });
  const functionDeclaration = `function () { ${onTable} = [...this]; }`;
  await session.post('Runtime.callFunctionOn', { objectId: objects.objectId ?? '', functionDeclaration });
  const found = table[exchange] as readonly T[];
  delete table[exchange];
  return found;
}

/** Undefined for what is no function, or one of the engine. */
async function scriptOf(session: Session, value: unknown): Promise<string | undefined> {
  table[exchange] = value;
  const { result } = await session.post('Runtime.evaluate', { expression: onTable });
  delete table[exchange];
  if (result.type !== 'function' || result.objectId === undefined) return undefined;
  const { internalProperties } = await session.post('Runtime.getProperties', { objectId: result.objectId });
  const location = internalProperties?.find(({ name }) => name === '[[FunctionLocation]]')?.value?.value as unknown;
  return (location as { readonly scriptId: string } | undefined)?.scriptId;
}
