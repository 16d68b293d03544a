import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
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

/** A reason of our own to undo a transaction: not a failure of the database. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly reason: "exists" | "missing" | "changed";

  constructor(reason: "exists" | "missing" | "changed") {
    super(reason);
    this.reason = reason;
  }
}

export interface DatabaseOptions {
  /** Changes kept for watchers that resume; who is behind them is told to list again. */
  readonly keptChanges?: number;
}

const defaultKeptChanges = 20_000;
const lockPatienceMs = 5_000;

const schema = `
  pragma journal_mode = wal;
  pragma synchronous = normal;
  pragma busy_timeout = 5000;
  create table if not exists object (
    key text primary key, kind text not null, value text not null, revision integer not null
  ) without rowid;
  create index if not exists object_by_kind on object (kind, key);
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
  readonly #db: DatabaseSync;
  readonly #lock: FileLock;
  readonly #statements = new Map<string, StatementSync>();

  readonly #keptChanges: number;

  /** `path` is the database's file; beside it lie the lock and the doorbell. */
  constructor(path: string, options: DatabaseOptions = {}) {
    this.#keptChanges = options.keptChanges ?? defaultKeptChanges;
    const folder = dirname(path);
    makeFolder(folder);
    const mask = process.umask(0o077);
    try {
      this.#lock = new FileLock(`${path}.lock`);
      this.doorbell = new Doorbell(join(folder, `${path.slice(folder.length + 1)}.doorbell`));
      this.#db = new DatabaseSync(path);
      this.#lock.run(lockPatienceMs, () => this.#db.exec(schema));
    } finally {
      process.umask(mask);
    }
  }

  get(key: string): StoredObject | undefined {
    return this.#prepare("select * from object where key = ?").get(key) as StoredObject | undefined;
  }

  /** Objects of one kind whose key starts with `prefix`, by key, and the revision they are of. */
  list(
    kind: string,
    prefix: string,
  ): { readonly objects: StoredObject[]; readonly revision: number } {
    this.#prepare("begin").run();
    try {
      const objects = this.#prepare(
        "select * from object where kind = ? and key >= ? and key < ? order by key",
      ).all(kind, prefix, `${prefix}\u{10ffff}`) as unknown as StoredObject[];
      return { objects, revision: this.revision() };
    } finally {
      this.#prepare("commit").run();
    }
  }

  /** Revision of the last change; 0 of an empty datastore. */
  revision(): number {
    const row = this.#prepare("select max(revision) as last from change").get();
    return (row?.["last"] as number | null) ?? 0;
  }

  /** Revision of the oldest change that is still known. */
  oldestChange(): number {
    const row = this.#prepare("select min(revision) as first from change").get();
    return (row?.["first"] as number | null) ?? 0;
  }

  changesAfter(revision: number, limit: number): StoredChange[] {
    return this.#prepare("select * from change where revision > ? order by revision limit ?").all(
      revision,
      limit,
    ) as unknown as StoredChange[];
  }

  /**
   * Writes `value` (null: deletes) if `check` of what is there passes.
   *
   * @throws {Refused} from `check`; {Error} when the lock or the disk fails.
   */
  write(
    target: { readonly key: string; readonly kind: string },
    value: string | null,
    check: (present: StoredObject | undefined) => void,
  ): number {
    const revision = this.#lock.run(lockPatienceMs, () => {
      this.#prepare("begin immediate").run();
      try {
        check(this.get(target.key));
        const next = this.#change(target, value);
        this.#prepare("commit").run();
        return next;
      } catch (error) {
        this.#prepare("rollback").run();
        throw error;
      }
    });
    this.doorbell.ring();
    return revision;
  }

  #change(
    { key, kind }: { readonly key: string; readonly kind: string },
    value: string | null,
  ): number {
    const revision = this.revision() + 1;
    if (value === null) this.#prepare("delete from object where key = ?").run(key);
    else {
      this.#prepare(
        "insert into object (key, kind, value, revision) values (?, ?, ?, ?) " +
          "on conflict (key) do update set value = excluded.value, revision = excluded.revision",
      ).run(key, kind, value, revision);
    }
    this.#prepare("insert into change (revision, key, kind, value) values (?, ?, ?, ?)").run(
      revision,
      key,
      kind,
      value,
    );
    this.#prepare("delete from change where revision <= ?").run(revision - this.#keptChanges);
    return revision;
  }

  close(): void {
    this.doorbell.close();
    this.#db.close();
    this.#lock.close();
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
