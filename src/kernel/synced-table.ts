import { type Plan, plan } from "./reconcile.ts";

/** How one kind of kernel state is listed and changed. */
export interface TableDriver<Key, Value> {
  /** All entries that are ours. */
  list(): Promise<ReadonlyMap<Key, Value>>;
  /** Adds or replaces. Gives the keys that failed, with the reason. */
  set(entries: ReadonlyMap<Key, Value>): Promise<ReadonlyMap<Key, string>>;
  /** Removes. An entry that is gone already has not failed. */
  remove(entries: ReadonlyMap<Key, Value>): Promise<ReadonlyMap<Key, string>>;
  equal(a: Value, b: Value): boolean;
  /** What is new is there before what it stands in for goes: no entry is in another's way. */
  readonly setsFirst?: boolean;
}

export interface ApplyReport<Key> {
  readonly set: number;
  readonly removed: number;
  /** Stay dirty: the next apply tries them again. */
  readonly failed: ReadonlyMap<Key, string>;
}

/**
 * One kind of kernel state with what is wanted and what is there. Lists the kernel at the first
 * apply, after a failure, and whenever `resync` asked for it; between, it trusts what it did. One
 * apply at a time; `set` and the like may be called meanwhile, for the next.
 */
export class SyncedTable<Key, Value> {
  readonly #driver: TableDriver<Key, Value>;
  readonly #desired = new Map<Key, Value>();
  #actual = new Map<Key, Value>();
  #mustList = true;

  constructor(driver: TableDriver<Key, Value>) {
    this.#driver = driver;
  }

  get desired(): ReadonlyMap<Key, Value> {
    return this.#desired;
  }

  set(key: Key, value: Value): void {
    this.#desired.set(key, value);
  }

  delete(key: Key): void {
    this.#desired.delete(key);
  }

  /** Replaces everything that is wanted. */
  replaceAll(desired: ReadonlyMap<Key, Value>): void {
    const next = new Map(desired);
    this.#desired.clear();
    for (const [key, value] of next) this.#desired.set(key, value);
  }

  /** The next apply lists the kernel first. */
  resync(): void {
    this.#mustList = true;
  }

  /** What an apply would do by what is known now. */
  plan(): Plan<Key, Value> {
    return plan(this.#desired, this.#actual, (a, b) => this.#driver.equal(a, b));
  }

  /**
   * Makes the kernel what is wanted, removals first unless the driver wants it otherwise: an entry may
   * stand in another's way.
   *
   * @throws what the driver throws: when listing fails, or the kernel cannot be reached.
   */
  async apply(): Promise<ApplyReport<Key>> {
    if (this.#mustList) {
      // Before the list, not after: a resync asked for while it runs must not be forgotten.
      this.#mustList = false;
      this.#actual = new Map(await this.#driver.list().catch(this.#unknown));
    }
    const { set, remove } = this.plan();
    const failed = new Map<Key, string>();
    if (this.#driver.setsFirst !== true) await this.#remove(remove, failed);
    if (set.size > 0) {
      const failures = await this.#driver.set(set).catch(this.#unknown);
      for (const [key, value] of set) if (!failures.has(key)) this.#actual.set(key, value);
      for (const [key, reason] of failures) failed.set(key, reason);
    }
    if (this.#driver.setsFirst === true) await this.#remove(remove, failed);
    if (failed.size > 0) this.#mustList = true;
    const failedSets = [...failed.keys()].filter((key) => set.has(key)).length;
    const removed = remove.size - (failed.size - failedSets);
    return { set: set.size - failedSets, removed, failed };
  }

  async #remove(entries: ReadonlyMap<Key, Value>, failed: Map<Key, string>): Promise<void> {
    if (entries.size === 0) return;
    const failures = await this.#driver.remove(entries).catch(this.#unknown);
    for (const key of entries.keys()) if (!failures.has(key)) this.#actual.delete(key);
    for (const [key, reason] of failures) failed.set(key, reason);
  }

  /** What became of the entries is not known. */
  readonly #unknown = (error: unknown): never => {
    this.#mustList = true;
    throw error;
  };
}
