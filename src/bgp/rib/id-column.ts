import { grown } from "./prefix-table.ts";

/** A column of 32-bit numbers by prefix id, 0 where nothing was set. Grows as ids do. */
export class IdColumn {
  #values = new Uint32Array(1024);

  get(id: number): number {
    return this.#values[id] ?? 0;
  }

  set(id: number, value: number): void {
    if (id >= this.#values.length) {
      let capacity = this.#values.length;
      while (capacity <= id) capacity *= 2;
      this.#values = grown(this.#values, new Uint32Array(capacity));
    }
    this.#values[id] = value;
  }
}

/** A set of ids that is emptied as a whole: each id once, in order of arrival. */
export class IdSet {
  readonly #marks = new IdColumn();
  #ids: number[] = [];

  get size(): number {
    return this.#ids.length;
  }

  add(id: number): void {
    if (this.#marks.get(id) === 1) return;
    this.#marks.set(id, 1);
    this.#ids.push(id);
  }

  /** Gives all ids and forgets them. */
  take(): readonly number[] {
    const ids = this.#ids;
    for (const id of ids) this.#marks.set(id, 0);
    this.#ids = [];
    return ids;
  }
}
