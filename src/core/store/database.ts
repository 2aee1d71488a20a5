import { mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import * as z from 'zod/mini';
import { Emitter } from '../kernel/event.ts';
import type { Disposable, Event } from '../kernel/event.ts';
import { Fault, throwIfAborted, toFault } from '../kernel/fault.ts';
import { Lifetime } from '../kernel/lifetime.ts';
import type { Clock, Log } from '../kernel/ports.ts';
import { setAside } from './setAside.ts';
import { isBusy, isDamage, sqliteFault } from './sqliteFault.ts';

/** SQL inside one transaction. Values are bound, never put into the text. */
export interface Rows {
  /** A row that does not have the shape is a 'bug' fault: nobody else writes here. */
  all<T>(shape: z.ZodMiniType<T>, sql: string, ...values: readonly SQLInputValue[]): readonly T[];
  first<T>(shape: z.ZodMiniType<T>, sql: string, ...values: readonly SQLInputValue[]): T | undefined;
  /** The number of rows changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number;
}

/**
 * One SQLite file, used by all windows of a person at once. It is opened at the first use. Calls take no signal: they
 * last milliseconds, their wait for another window is bounded, and a record of money must be made even when the
 * work that it is about was cancelled.
 * Faults of every call: 'io' with a next step (locked, full, read-only, made by a newer version), 'cancelled' once
 * disposed.
 */
export interface Database extends Disposable {
  /** A damaged file was found and kept under this path; a new one has been started. */
  readonly onDidSetAside: Event<string>;
  /** One consistent view. */
  read<T>(work: (rows: Rows) => T): Promise<T>;
  /** One transaction, all or nothing. `work` may run again when another window was in the way. */
  write<T>(work: (rows: Rows) => T): Promise<T>;
  /** The same, and on the disk before it returns: holds even when the machine loses power. Some 5 ms. */
  writeThrough<T>(work: (rows: Rows) => T): Promise<T>;
  /** A last transaction, when the database is disposed of while it is open. It may fail without a word. */
  atEnd(work: (rows: Rows) => void): Promise<void>;
}

export interface DatabaseOptions {
  readonly file: string;
  /** See schema.ts. */
  readonly steps: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Longest wait for another window's transaction. */
  readonly waitMs?: number;
}

const defaultWaitMs = 5_000;
/** SQLite's own wait stops the whole extension host, so it is short; the rest of the wait is ours. */
const blockingWaitMs = 10;
const longestPauseMs = 100;
/** To look through a larger file holds up the first view: its damage is found when it is met, and looked for then. */
const checkedBytes = 16_000_000;

type Mode = 'read' | 'write' | 'writeThrough';

export function createDatabase(options: DatabaseOptions): Database {
  return new SqliteDatabase(options);
}

class SqliteDatabase implements Database {
  readonly #options: DatabaseOptions;
  readonly #life = new Lifetime();
  readonly #setAside = this.#life.own(new Emitter<string>());
  readonly onDidSetAside = this.#setAside.event;
  #current: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  /** Damage was met: the whole file is looked at, however large it is. */
  #isSuspect = false;
  readonly #last: ((rows: Rows) => void)[] = [];

  constructor(options: DatabaseOptions) {
    this.#options = options;
  }

  read<T>(work: (rows: Rows) => T): Promise<T> {
    return this.#transact('read', work);
  }

  write<T>(work: (rows: Rows) => T): Promise<T> {
    return this.#transact('write', work);
  }

  writeThrough<T>(work: (rows: Rows) => T): Promise<T> {
    return this.#transact('writeThrough', work);
  }

  atEnd(work: (rows: Rows) => void): Promise<void> {
    this.#last.push(work);
    return Promise.resolve();
  }

  dispose(): void {
    this.#life.dispose();
    for (const work of this.#last.splice(0)) {
      try {
        this.#current?.transact('write', work);
      } catch {
        // Another window is in the way, or the disk is full: what is not said is found out by silence.
      }
    }
    this.#current?.dispose();
    this.#current = undefined;
  }

  async #transact<T>(mode: Mode, work: (rows: Rows) => T): Promise<T> {
    const attempt = async (): Promise<T> => {
      const connection = await this.#connection();
      try {
        return connection.transact(mode, work);
      } catch (error) {
        if (isDamage(error)) this.#forget(connection);
        throw error;
      }
    };
    try {
      return await this.#patiently(attempt);
    } catch (error) {
      if (!isDamage(error)) throw sqliteFault(error, this.#options.file);
    }
    try {
      return await this.#patiently(attempt);
    } catch (error) {
      throw sqliteFault(error, this.#options.file);
    }
  }

  /** The next use opens the file again, which looks at the whole of it and repairs. */
  #forget(connection: Connection): void {
    this.#isSuspect = true;
    connection.dispose();
    if (this.#current === connection) this.#current = undefined;
  }

  async #connection(): Promise<Connection> {
    throwIfAborted(this.#life.signal);
    if (this.#current !== undefined) return this.#current;
    this.#opening ??= this.#start().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #start(): Promise<Connection> {
    const { file, steps, clock, log } = this.#options;
    const sqlite = await import('node:sqlite');
    await prepareFile(file);
    const deadline = clock.now() + (this.#options.waitMs ?? defaultWaitMs);
    for (;;) {
      try {
        const isChecked = this.#isSuspect || (await stat(file)).size < checkedBytes;
        const connection = await this.#patiently(() => new Connection(new sqlite.DatabaseSync(file), steps, isChecked));
        this.#isSuspect = false;
        this.#current = connection;
        return connection;
      } catch (error) {
        if (!isDamage(error) || clock.now() > deadline) throw error;
      }
      const kept = await setAside(file, () => isDamagedFile(() => new sqlite.DatabaseSync(file)), clock.now());
      if (kept === undefined) {
        await clock.sleep(longestPauseMs, this.#life.signal);
      } else {
        await prepareFile(file);
        log.warn(`The records were damaged. The old file is kept as ${kept}, a new one is started`);
        this.#setAside.fire(kept);
      }
    }
  }

  /** Tries until no other window is in the way, without holding the editor up. */
  async #patiently<T>(work: () => T | Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const deadline = clock.now() + (this.#options.waitMs ?? defaultWaitMs);
    for (let pauseMs = 5; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
      throwIfAborted(this.#life.signal);
      try {
        return await work();
      } catch (error) {
        if (!isBusy(error) || clock.now() > deadline) throw error;
      }
      await clock.sleep(pauseMs, this.#life.signal);
    }
  }
}

/** An open file at our schema version. The constructor brings it there, and closes it again when that fails. */
class Connection implements Disposable, Rows {
  readonly #db: DatabaseSync;
  readonly #version: number;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync, steps: readonly string[], isChecked: boolean) {
    this.#db = db;
    this.#version = steps.length;
    try {
      db.exec(`PRAGMA busy_timeout = ${String(blockingWaitMs)}; PRAGMA foreign_keys = ON;`);
      if (isChecked) checkWhole(db);
      db.exec('PRAGMA journal_mode = WAL');
      if (userVersion(db) !== steps.length) this.#within('BEGIN IMMEDIATE', () => migrate(db, steps));
    } catch (error) {
      db.close();
      throw error;
    }
  }

  transact<T>(mode: Mode, work: (rows: Rows) => T): T {
    this.#db.exec(`PRAGMA synchronous = ${mode === 'writeThrough' ? 'FULL' : 'NORMAL'}`);
    return this.#within(mode === 'read' ? 'BEGIN' : 'BEGIN IMMEDIATE', () => {
      refuseNewer(userVersion(this.#db), this.#version);
      return work(this);
    });
  }

  all<T>(shape: z.ZodMiniType<T>, sql: string, ...values: readonly SQLInputValue[]): readonly T[] {
    return this.#prepared(sql)
      .all(...values)
      .map((row) => parseRow(shape, row));
  }

  first<T>(shape: z.ZodMiniType<T>, sql: string, ...values: readonly SQLInputValue[]): T | undefined {
    const row = this.#prepared(sql).get(...values);
    return row === undefined ? undefined : parseRow(shape, row);
  }

  run(sql: string, ...values: readonly SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  dispose(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #within<T>(begin: string, work: () => T): T {
    this.#db.exec(begin);
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after a full disk or an I/O error.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }
}

const versionRow = z.object({ user_version: z.int() });
const checkRow = z.object({ quick_check: z.string() });

function userVersion(db: DatabaseSync): number {
  return parseRow(versionRow, db.prepare('PRAGMA user_version').get()).user_version;
}

function checkWhole(db: DatabaseSync): void {
  const { quick_check: verdict } = parseRow(checkRow, db.prepare('PRAGMA quick_check(1)').get());
  if (verdict !== 'ok') throw Object.assign(new Error(verdict), { errcode: 11 });
}

/** Another window may have done it while this one waited for the lock: the version is read inside the transaction. */
function migrate(db: DatabaseSync, steps: readonly string[]): void {
  const from = userVersion(db);
  refuseNewer(from, steps.length);
  for (const step of steps.slice(from)) db.exec(step);
  db.exec(`PRAGMA user_version = ${String(steps.length)}`);
}

function refuseNewer(found: number, known: number): void {
  if (found <= known) return;
  throw new Fault(
    'io',
    `PodRelay’s records were made by a newer version of PodRelay (schema ${String(found)}, this one knows ${String(known)})`,
    { nextStep: 'Update PodRelay, then reload all windows.' },
  );
}

function isDamagedFile(openFile: () => DatabaseSync): boolean {
  let db: DatabaseSync | undefined;
  try {
    db = openFile();
    checkWhole(db);
    return false;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return true;
  } finally {
    db?.close();
  }
}

/** Prompts are private: only this user may read the file. SQLite gives its log the same rights. */
async function prepareFile(file: string): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await (await open(file, 'a', 0o600)).close();
  } catch (error) {
    const because = error instanceof Error ? error.message : String(error);
    const nextStep = `Check that ${path.dirname(file)} can be written to.`;
    throw new Fault('io', `PodRelay’s records cannot be opened: ${because}`, { nextStep }, { cause: error });
  }
}

function parseRow<T>(shape: z.ZodMiniType<T>, row: unknown): T {
  const parsed = shape.safeParse(row);
  if (!parsed.success) throw toFault(new Error(`A record has an unexpected shape: ${z.prettifyError(parsed.error)}`));
  return parsed.data;
}
