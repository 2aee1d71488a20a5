import { Emitter } from '../kernel/event.ts';
import { late } from '../kernel/late.ts';
import type { Lifetime } from '../kernel/lifetime.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import type { Database } from './database.ts';

export interface DatabaseOptions {
  readonly databaseFile: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The records. The file is opened, and made, at the first question. */
export function openDatabase({ databaseFile: file, clock, log }: DatabaseOptions, life: Lifetime): Database {
  const setAside = life.own(new Emitter<string>());
  const open = async (): Promise<Database> => {
    const [{ createDatabase }, { schemaSteps }] = await Promise.all([import('./database.ts'), import('./schema.ts')]);
    const database = life.own(createDatabase({ file, steps: schemaSteps, clock, log }));
    database.onDidSetAside((kept) => setAside.fire(kept));
    return database;
  };
  return late(open, { onDidSetAside: setAside.event, dispose: () => undefined });
}
