import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Clock } from "../../lib/clock.ts";
import { FileLock } from "../../lib/flock.ts";
import { Doorbell } from "./doorbell.ts";

/** One object as it is stored. `revision` is that of its last change. */
export interface StoredObject {
  readonly key: string;
  readonly kind: string;
  readonly value: string;
  readonly revision: number;
}

/** One change. `value` is null for a deletion. */
export interface StoredChange {
  readonly revision: number;
  readonly key: string;
  readonly kind: string;
  readonly value: string | null;
}

/** One change to be made. `value` is null for a deletion. */
export interface Change {
  readonly key: string;
  readonly kind: string;
  readonly value: string | null;
  /** Refuses, by throwing, after a look at the revision of what is there. */
  check(present: number | undefined): void;
}

/**
 * Makes a folder and what is missing above it, for their owner alone. A step at a time: the recursive
 * mkdir of Node never ends below /proc.
 */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** An object, or a row of nulls where there is none, and the revision of all. */
type ListedRow = { readonly [Field in keyof StoredObject]: StoredObject[Field] | null } & {
  readonly last: number | null;
};

export interface DatabaseConfig {
  /** Of the database's file; beside it lie the lock and the doorbell. */
  readonly path: string;
  /** Nothing is made, nothing can be written. */
  readonly readOnly: boolean;
  /** How long a write waits for another process's, at most. */
  readonly lockPatienceMs: number;
  /** Changes kept for watchers that resume; one that is further behind is told to list again. */
  readonly keptChanges: number;
}

/** Nobody but a foreign tool makes SQLite wait: our writers hold the lock. The thread stands still. */
const busyTimeoutMs = 1_000;

/** 16 MB. Each checkpoint waits for the disk, for some 10 ms. */
const walPages = 4_000;

/**
 * The value is the last column and rows have an ID: with the key as the only tree (as older files have it)
 * a write of a block takes 112 us instead of 74. Keys of a kind begin with its name.
 */
const schema = `
  pragma journal_mode = wal;
  create table if not exists object (
    key text primary key, kind text not null, revision integer not null, value text not null
  );
  create table if not exists change (
    revision integer primary key, key text not null, kind text not null, value text
  );
`;

/**
 * Objects and their changes in one SQLite file, shared by processes of one host (ADR 4). Every write
 * is one transaction under a file lock, and rings the doorbell when it is committed.
 */
export class Database {
  readonly doorbell: Doorbell;
  readonly #config: DatabaseConfig;
  readonly #db: DatabaseSync;
  readonly #lock: FileLock | undefined;
  readonly #statements = new Map<string, StatementSync>();

  /** @throws {Error} when the file, its folder or the lock cannot be had. */
  constructor(config: DatabaseConfig, clock: Clock) {
    const { path, readOnly } = config;
    this.#config = config;
    this.doorbell = new Doorbell(`${path}.doorbell`, clock);
    if (readOnly && !existsSync(path)) throw new Error(`${path} does not exist`);
    const mask = process.umask(0o077);
    try {
      if (!readOnly) makeFolder(dirname(path));
      this.#db = new DatabaseSync(path, { readOnly, timeout: busyTimeoutMs });
      this.#lock = readOnly ? undefined : this.#install(clock);
    } finally {
      process.umask(mask);
    }
  }

  get(key: string): StoredObject | undefined {
    return this.#prepare("select * from object where key = ?").get(key) as StoredObject | undefined;
  }

  /** Objects whose key starts with `prefix`, and the revision they are of. */
  list(prefix: string): { readonly objects: StoredObject[]; readonly revision: number } {
    const rows = this.#prepare(
      "select object.*, (select max(revision) from change) as last " +
        "from (select 1) left join object on key >= ? and key < ?",
    ).all(prefix, `${prefix}\u{10ffff}`) as unknown as ListedRow[];
    const objects = rows.filter(({ key }) => key !== null) as StoredObject[];
    return { objects, revision: rows[0]?.last ?? 0 };
  }

  /** Keys that start with `prefix`, in no order. */
  keys(prefix: string): string[] {
    const rows = this.#prepare("select key from object where key >= ? and key < ?").all(
      prefix,
      `${prefix}\u{10ffff}`,
    );
    return rows.map(({ key }) => key as string);
  }

  /** Revision of the last change; 0 of an empty datastore. */
  revision(): number {
    const row = this.#prepare("select max(revision) as last from change").get();
    return (row?.["last"] as number | null) ?? 0;
  }

  /** Kinds of which an object was changed after `revision`; undefined when that is too long ago to tell. */
  kindsChangedAfter(revision: number): {
    readonly kinds: readonly string[] | undefined;
    readonly revision: number;
  } {
    const last = this.revision();
    if (last === revision) return { kinds: [], revision };
    const { keptChanges } = this.#config;
    if (last < revision || last - revision >= keptChanges)
      return { kinds: undefined, revision: last };
    const rows = this.#prepare(
      "select distinct kind from change where revision > ? and revision <= ?",
    ).all(revision, last);
    return { kinds: rows.map(({ kind }) => kind as string), revision: last };
  }

  /**
   * The next changes after `revision`, at most `limit`. Undefined when that cannot be told: older
   * changes are forgotten, or `revision` is not of this datastore's past.
   */
  changesAfter(revision: number, limit: number): StoredChange[] | undefined {
    this.#prepare("begin").run();
    try {
      const oldest = this.#prepare("select min(revision) as first from change").get();
      const first = (oldest?.["first"] as number | null) ?? 0;
      if (revision + 1 < first || revision > this.revision()) return undefined;
      return this.#prepare("select * from change where revision > ? order by revision limit ?").all(
        revision,
        limit,
      ) as unknown as StoredChange[];
    } finally {
      this.#prepare("commit").run();
    }
  }

  /**
   * Carries out all changes or none, in order, if the `check` of each passes.
   *
   * @returns the revision of each.
   * @throws what a `check` throws; {Error} when the lock or the disk fails.
   */
  async write(changes: readonly Change[]): Promise<readonly number[]> {
    if (this.#lock === undefined) throw new Error(`${this.#config.path} is open for reading only`);
    const revisions = await this.#lock.run(this.#config.lockPatienceMs, () => {
      this.#prepare("begin immediate").run();
      try {
        let last = this.revision();
        const made = changes.map((change) => this.#change(change, ++last));
        this.#forgetChanges(last);
        this.#prepare("commit").run();
        return made;
      } catch (error) {
        if (this.#db.isTransaction) this.#prepare("rollback").run();
        throw error;
      }
    });
    this.doorbell.ring();
    return revisions;
  }

  close(): void {
    this.#db.close();
    this.#lock?.close();
    this.doorbell.close();
  }

  /** What a writer needs: the lock, the doorbell, and the tables unless they are there. */
  #install(clock: Clock): FileLock {
    const { path, lockPatienceMs } = this.#config;
    let lock: FileLock | undefined;
    try {
      lock = new FileLock(`${path}.lock`, clock);
      this.doorbell.install();
      const known = this.#db.prepare("select 1 from sqlite_schema where name = 'change'").get();
      if (known === undefined) lock.runBlocking(lockPatienceMs, () => this.#db.exec(schema));
      this.#db.exec(`pragma synchronous = normal; pragma wal_autocheckpoint = ${walPages}`);
      return lock;
    } catch (error) {
      lock?.close();
      this.close();
      throw error;
    }
  }

  #revisionOf(key: string): number | undefined {
    const row = this.#prepare("select revision from object where key = ?").get(key);
    return row?.["revision"] as number | undefined;
  }

  #change({ key, kind, value, check }: Change, revision: number): number {
    const present = this.#revisionOf(key);
    check(present);
    if (value === null) this.#prepare("delete from object where key = ?").run(key);
    else if (present !== undefined) {
      this.#prepare("update object set value = ?, revision = ? where key = ?").run(
        value,
        revision,
        key,
      );
    } else {
      this.#prepare("insert into object (key, kind, value, revision) values (?, ?, ?, ?)").run(
        key,
        kind,
        value,
        revision,
      );
    }
    this.#prepare("insert into change (revision, key, kind, value) values (?, ?, ?, ?)").run(
      revision,
      key,
      kind,
      value,
    );
    return revision;
  }

  #forgetChanges(last: number): void {
    const { keptChanges } = this.#config;
    this.#prepare("delete from change where revision <= ?").run(last - keptChanges);
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
