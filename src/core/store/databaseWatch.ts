import { watch } from 'node:fs';
import path from 'node:path';
import type { Disposable } from '../kernel/event.ts';

/**
 * Calls when any window has written to the database, this one included; often several times for one write, and on some
 * file systems never. No timer runs. Undefined while there is no folder to watch.
 */
export function watchDatabase(file: string, onChange: () => void): Disposable | undefined {
  const name = path.basename(file);
  try {
    const watcher = watch(path.dirname(file), { persistent: false }, (_event, changed) => {
      if (changed === null || changed.startsWith(name)) onChange();
    });
    watcher.on('error', () => watcher.close());
    return { dispose: () => watcher.close() };
  } catch {
    return undefined;
  }
}
