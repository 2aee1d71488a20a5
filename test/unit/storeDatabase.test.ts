import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import * as z from 'zod/mini';
import { systemClock } from '../../src/core/kernel/clock.ts';
import { Fault } from '../../src/core/kernel/fault.ts';
import type { FaultKind } from '../../src/core/kernel/fault.ts';
import type { Log } from '../../src/core/kernel/ports.ts';
import { createDatabase } from '../../src/core/store/database.ts';
import type { Database } from '../../src/core/store/database.ts';
import { schemaSteps } from '../../src/core/store/schema.ts';

const steps = ['CREATE TABLE note (text TEXT NOT NULL) STRICT', 'ALTER TABLE note ADD COLUMN at INTEGER'];
const noteRow = z.object({ text: z.string() });

function isFault(kind: FaultKind, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Fault, String(error));
    assert.equal(error.kind, kind, error.message);
    if (text !== undefined) assert.match(`${error.message} ${error.facts.nextStep ?? ''}`, text);
    return true;
  };
}

describe('the database', () => {
  let root: string;
  let file: string;
  let warnings: string[];
  const opened: Database[] = [];
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'podrelay-store-'));
    file = path.join(root, 'sub', 'records.sqlite');
    warnings = [];
  });
  afterEach(async () => {
    for (const database of opened.splice(0)) database.dispose();
    await rm(root, { recursive: true });
  });

  const openWith = (own: readonly string[], waitMs = 1_000): Database => {
    const quiet = (): void => undefined;
    const log: Log = { debug: quiet, info: quiet, warn: (text) => void warnings.push(text), error: quiet };
    const database = createDatabase({ file, steps: own, clock: systemClock, log, waitMs });
    opened.push(database);
    return database;
  };
  const add = (database: Database, text: string): Promise<number> =>
    database.write((rows) => rows.run('INSERT INTO note (text) VALUES (?)', text));
  const notes = async (database: Database): Promise<readonly string[]> =>
    (await database.read((rows) => rows.all(noteRow, 'SELECT text FROM note ORDER BY rowid'))).map((row) => row.text);

  it('is not there before it is used, and then only for this user', async () => {
    const database = openWith(steps);
    assert.deepEqual(await readdir(root), []);
    await add(database, 'one');
    assert.deepEqual(await notes(database), ['one']);
    if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o077, 0);
  });

  it('keeps what was written when it is opened again', async () => {
    const first = openWith(steps);
    await add(first, 'one');
    await first.writeThrough((rows) => rows.run(`INSERT INTO note (text) VALUES ('two')`));
    first.dispose();
    first.dispose();
    assert.deepEqual(await notes(openWith(steps)), ['one', 'two']);
    await assert.rejects(add(first, 'three'), isFault('cancelled'));
  });

  it('brings an older file to the newest schema and keeps its content', async () => {
    const old = openWith(steps.slice(0, 1));
    await add(old, 'old');
    old.dispose();
    const database = openWith(steps);
    await database.write((rows) => rows.run('UPDATE note SET at = 5'));
    assert.deepEqual(await notes(database), ['old']);
  });

  it('applies no half of a migration', async () => {
    const old = openWith(steps.slice(0, 1));
    await add(old, 'old');
    old.dispose();
    await assert.rejects(notes(openWith([...steps, 'CREATE TABLE other (x); SELECT nonsense'])), isFault('bug'));
    const database = openWith(steps);
    assert.deepEqual(await notes(database), ['old']);
    const tables = await database.read((rows) =>
      rows.all(z.object({ name: z.string() }), `SELECT name FROM sqlite_master WHERE type = 'table'`),
    );
    assert.deepEqual(
      tables.map((table) => table.name),
      ['note'],
    );
  });

  it('refuses a file of a newer version and leaves it as it is', async () => {
    const newer = openWith(steps);
    await add(newer, 'new');
    newer.dispose();
    const older = openWith(steps.slice(0, 1));
    await assert.rejects(notes(older), isFault('io', /newer version.*schema 2.*knows 1.*Update PodRelay/));
    assert.deepEqual(await notes(openWith(steps)), ['new']);
  });

  it('stops writing when another window brings the file to a newer version meanwhile', async () => {
    const older = openWith(steps.slice(0, 1));
    await add(older, 'before');
    await add(openWith(steps), 'newer');
    await assert.rejects(add(older, 'after'), isFault('io', /newer version/));
    assert.deepEqual(await notes(openWith(steps)), ['before', 'newer']);
  });

  it('undoes a transaction that throws, and passes the fault on', async () => {
    const database = openWith(steps);
    await assert.rejects(
      database.write((rows) => {
        rows.run(`INSERT INTO note (text) VALUES ('half')`);
        throw new Fault('overBudget', 'Too dear');
      }),
      isFault('overBudget'),
    );
    assert.deepEqual(await notes(database), []);
  });

  it('keeps a damaged file aside, starts a new one and says so', async () => {
    await mkdir(path.dirname(file));
    await writeFile(file, 'this is no database. '.repeat(500));
    const database = openWith(steps);
    const told: string[] = [];
    database.onDidSetAside((kept) => told.push(kept));
    await add(database, 'new');
    assert.deepEqual(await notes(database), ['new']);
    assert.equal(told.length, 1);
    assert.match(told[0]!, /records\.sqlite\.damaged-/);
    assert.match(await readFile(told[0]!, 'utf8'), /^this is no database/);
    assert.equal(warnings.length, 1);
    assert.deepEqual(
      (await readdir(path.dirname(file))).filter((name) => name.endsWith('.repair')),
      [],
    );
  });

  it('recovers when the file is damaged while it is open', async () => {
    const database = openWith(steps);
    await add(database, 'one');
    const bytes = (await stat(file)).size;
    await add(database, 'two'.repeat(5_000));
    const other = new DatabaseSync(file);
    other.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    other.close();
    await writeFile(file, Buffer.alloc(Math.max(bytes, 8192), 0xab));
    await add(database, 'new');
    assert.deepEqual(await notes(database), ['new']);
    assert.equal(warnings.length, 1);
  });

  it('too large to be looked through at every start is still repaired when its damage is met', async () => {
    const database = openWith(steps);
    await database.write((rows) => {
      for (let n = 0; n < 450; n++) rows.run('INSERT INTO note (text) VALUES (?)', `${String(n)} `.repeat(12_000));
    });
    database.dispose();
    const bytes = await readFile(file);
    assert.ok(bytes.length > 16_000_000, String(bytes.length));
    await writeFile(file, bytes.fill(0xab, 8_000_000, 8_100_000));
    const again = openWith(steps);
    assert.deepEqual(await notes(again), []);
    await add(again, 'new');
    assert.deepEqual(await notes(again), ['new']);
    assert.equal(warnings.length, 1);
  });

  it('is repaired once when several windows find the damage', async () => {
    await mkdir(path.dirname(file));
    await writeFile(file, Buffer.alloc(8192, 0xab));
    const windows = Array.from({ length: 5 }, () => openWith(steps));
    await Promise.all(windows.map((window, n) => add(window, `window ${String(n)}`)));
    assert.equal((await notes(windows[0]!)).length, 5);
    assert.equal((await readdir(path.dirname(file))).filter((name) => name.includes('.damaged-')).length, 1);
  });

  it('does not wait forever for a window that died while it repaired', async () => {
    await mkdir(path.dirname(file));
    await writeFile(file, Buffer.alloc(8192, 0xab));
    await writeFile(`${file}.repair`, '');
    await assert.rejects(add(openWith(steps, 200), 'x'), isFault('io', /damaged/));
    const longAgo = Date.now() / 1000 - 60;
    await utimes(`${file}.repair`, longAgo, longAgo);
    await add(openWith(steps), 'new');
  });

  it('waits for another window, and not forever', async () => {
    const database = openWith(steps, 300);
    await add(database, 'one');
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    const waiting = add(database, 'two');
    await wait(60);
    other.exec('COMMIT');
    await waiting;
    other.exec('BEGIN IMMEDIATE');
    const since = performance.now();
    await assert.rejects(add(database, 'three'), isFault('io', /locked/));
    const waited = performance.now() - since;
    assert.ok(waited >= 250 && waited < 2_000, String(waited));
    assert.deepEqual(await notes(database), ['one', 'two']);
    other.exec('ROLLBACK');
    other.close();
  });

  it('stops waiting when its window closes', async () => {
    const database = openWith(steps, 60_000);
    await add(database, 'one');
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    const waiting = assert.rejects(add(database, 'two'), isFault('cancelled'));
    await wait(20);
    database.dispose();
    await waiting;
    other.close();
  });

  it('says so when its place cannot be used', async () => {
    await writeFile(path.join(root, 'sub'), 'a file');
    await assert.rejects(add(openWith(steps), 'x'), isFault('io', /cannot be opened.*can be written to/));
  });

  it('takes writes of several processes that start at once, each exactly once', async function () {
    this.timeout(60_000);
    const script = `
      import { createDatabase } from ${JSON.stringify(path.resolve('src/core/store/database.ts'))};
      import { systemClock } from ${JSON.stringify(path.resolve('src/core/kernel/clock.ts'))};
      const quiet = () => undefined;
      const database = createDatabase({ file: process.argv[1], steps: ${JSON.stringify(steps)}, clock: systemClock,
        log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, waitMs: 20_000 });
      for (let n = 0; n < 50; n += 1)
        await database.write((rows) => rows.run('INSERT INTO note (text) VALUES (?)', process.pid + ':' + n));
      database.dispose();`;
    const run = (): Promise<unknown> =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, file]);
    await Promise.all([run(), run(), run(), run()]);
    const all = await notes(openWith(steps));
    assert.equal(all.length, 200);
    assert.equal(new Set(all).size, 200);
  });

  it('has a schema that can be made', async () => {
    const database = openWith(schemaSteps);
    await database.write((rows) => rows.run('DELETE FROM job'));
  });
});
