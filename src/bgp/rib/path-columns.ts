import { grown } from "./prefix-table.ts";

const initialCapacity = 1024;

/**
 * The columns of paths, by their numbers, which start at 1. A number that was given back is given
 * again only after `reclaim`.
 */
export class PathColumns {
  prefix: Uint32Array = new Uint32Array(initialCapacity);
  peer: Uint16Array = new Uint16Array(initialCapacity);
  attribute: Uint32Array = new Uint32Array(initialCapacity);
  /** The next path of the same prefix; of a number that is free the next one. */
  next: Uint32Array = new Uint32Array(initialCapacity);
  /** 0: the number is free. */
  flags: Uint8Array = new Uint8Array(initialCapacity);
  /** Made when the first path identifier comes. */
  pathId: Uint32Array | undefined;
  /** One more than the greatest number that was ever given. */
  end: number = 1;
  #free = 0;
  /** Given back since the last `reclaim`. */
  #removed = 0;

  /** A number, with nothing set. */
  take(): number {
    if (this.#free !== 0) {
      const path = this.#free;
      this.#free = this.next[path] as number;
      return path;
    }
    if (this.end === this.peer.length) this.#grow(this.end * 2);
    return this.end++;
  }

  setPathId(path: number, pathId: number): void {
    if (pathId !== 0) this.pathId ??= new Uint32Array(this.peer.length);
    if (this.pathId !== undefined) this.pathId[path] = pathId;
  }

  giveBack(path: number): void {
    this.flags[path] = 0;
    this.next[path] = this.#removed;
    this.#removed = path;
  }

  /** Numbers that were given back may be given again. */
  reclaim(): void {
    while (this.#removed !== 0) {
      const path = this.#removed;
      this.#removed = this.next[path] as number;
      this.next[path] = this.#free;
      this.#free = path;
    }
  }

  #grow(capacity: number): void {
    this.prefix = grown(this.prefix, new Uint32Array(capacity));
    this.peer = grown(this.peer, new Uint16Array(capacity));
    this.attribute = grown(this.attribute, new Uint32Array(capacity));
    this.next = grown(this.next, new Uint32Array(capacity));
    this.flags = grown(this.flags, new Uint8Array(capacity));
    if (this.pathId !== undefined) this.pathId = grown(this.pathId, new Uint32Array(capacity));
  }
}
