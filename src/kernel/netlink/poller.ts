import { libc } from "./libc.ts";

const POLLIN = 1;
const EFD_NONBLOCK = 0x800;
const EFD_CLOEXEC = 0x80000;
const entryBytes = 8;

/**
 * Waits for descriptors that Node cannot watch, all with one poll(2) in one thread of libuv's pool.
 * An eventfd wakes it when the set changes.
 */
export class Poller {
  readonly #wakeFd: number = libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  readonly #watched = new Map<number, { readonly events: number; readonly onReady: () => void }>();
  #polling = false;

  /** Calls `onReady` each time `fd` has something to read. Returns what ends it. */
  watch(fd: number, onReady: () => void, events: number = POLLIN): () => void {
    this.#watched.set(fd, { events, onReady });
    this.#wake();
    return () => {
      this.#watched.delete(fd);
      this.#wake();
    };
  }

  #wake(): void {
    if (this.#polling) {
      const one = Buffer.alloc(8);
      one.writeBigUInt64LE(1n);
      libc.write(this.#wakeFd, one, one.length);
    } else if (this.#watched.size > 0) this.#poll();
  }

  #poll(): void {
    const fds = [this.#wakeFd, ...this.#watched.keys()];
    const entries = Buffer.alloc(fds.length * entryBytes);
    fds.forEach((fd, index) => {
      entries.writeInt32LE(fd, index * entryBytes);
      entries.writeInt16LE(this.#watched.get(fd)?.events ?? POLLIN, index * entryBytes + 4);
    });
    this.#polling = true;
    libc.poll.async(entries, fds.length, -1, (error: Error | null, ready: number) => {
      this.#polling = false;
      if (error !== null) throw error;
      // Interrupted: nothing is known of any descriptor.
      if (ready < 0) entries.fill(0);
      libc.read(this.#wakeFd, Buffer.alloc(8), 8);
      fds.forEach((fd, index) => {
        if (index > 0 && entries.readInt16LE(index * entryBytes + 6) !== 0) {
          this.#watched.get(fd)?.onReady();
        }
      });
      if (!this.#polling && this.#watched.size > 0) this.#poll();
    });
  }
}

/** One is enough for a process. */
export const poller: Poller = new Poller();
