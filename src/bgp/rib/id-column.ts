import { grown } from "./prefix-table.ts";

const initialCapacity = 1024;

/** A column of 32-bit numbers by id, 0 where nothing was set. Grows as ids do. */
export class IdColumn {
  #values = new Uint32Array(initialCapacity);

  get(id: number): number {
    return this.#values[id] ?? 0;
  }

  set(id: number, value: number): void {
    if (id >= this.#values.length) {
      this.#values = grown(this.#values, new Uint32Array(capacityFor(id, this.#values.length)));
    }
    this.#values[id] = value;
  }
}

/** A column of peer numbers by id, which two octets hold: with a full table 2 MB less. */
export class PeerColumn {
  #values = new Uint16Array(initialCapacity);

  get(id: number): number {
    return this.#values[id] ?? 0;
  }

  set(id: number, peer: number): void {
    if (id >= this.#values.length) {
      this.#values = grown(this.#values, new Uint16Array(capacityFor(id, this.#values.length)));
    }
    this.#values[id] = peer;
  }
}

/** A set of ids, each once, in order of arrival; ids are taken from its start. */
export class IdSet {
  #marks = new Uint8Array(initialCapacity);
  #ids = new Uint32Array(initialCapacity);
  #start = 0;
  #end = 0;

  get size(): number {
    return this.#end - this.#start;
  }

  add(id: number): void {
    if (this.#marks[id] === 1) return;
    if (id >= this.#marks.length) {
      this.#marks = grown(this.#marks, new Uint8Array(capacityFor(id, this.#marks.length)));
    }
    this.#marks[id] = 1;
    if (this.#end === this.#ids.length) this.#makeRoom();
    this.#ids[this.#end++] = id;
  }

  /** Gives the first ids, `limit` at most, and forgets them. */
  take(limit: number): Uint32Array {
    const end = Math.min(this.#end, this.#start + limit);
    const ids = this.#ids.slice(this.#start, end);
    for (let i = 0; i < ids.length; i++) this.#marks[ids[i] as number] = 0;
    this.#start = end;
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    }
    return ids;
  }

  #makeRoom(): void {
    const live = this.#ids.subarray(this.#start, this.#end);
    const isHalfEmpty = live.length * 2 <= this.#ids.length;
    const next = new Uint32Array(this.#ids.length * (isHalfEmpty ? 1 : 2));
    next.set(live);
    this.#ids = next;
    this.#start = 0;
    this.#end = live.length;
  }
}

function capacityFor(id: number, before: number): number {
  let capacity = before;
  while (capacity <= id) capacity *= 2;
  return capacity;
}
