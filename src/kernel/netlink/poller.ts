import { libc } from "./libc.ts";

const POLLIN = 1;
const EFD_NONBLOCK = 0x800;
const EFD_CLOEXEC = 0x80000;
const entryBytes = 8;

interface Watcher {
  readonly fd: number;
  readonly events: number;
  readonly onReady: () => void;
}

/**
 * Waits for descriptors that Node cannot watch, all with one poll(2) in one thread of libuv's pool.
 * An eventfd wakes it when the set changes.
 *
 * A call back is a hint: a descriptor closed and given out again may be reported once for its
 * successor, so a reader never blocks.
 */
export class Poller {
  readonly #wakeFd: number = libc.eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  /** Two may watch one descriptor: a reader and a writer. */
  readonly #watchers = new Set<Watcher>();
  #polling = false;

  constructor() {
    // Node waits for its pool's threads when the process exits: one in poll(2) would keep it for ever.
    process.once("exit", () => this.#interrupt());
  }

  /** Calls `onReady` each time `fd` has something to read. Returns what ends it. */
  watch(fd: number, onReady: () => void, events: number = POLLIN): () => void {
    const watcher = { fd, events, onReady };
    this.#watchers.add(watcher);
    this.#wake();
    return () => {
      if (this.#watchers.delete(watcher)) this.#wake();
    };
  }

  #wake(): void {
    if (this.#polling) this.#interrupt();
    else if (this.#watchers.size > 0) this.#poll();
  }

  #interrupt(): void {
    const one = Buffer.alloc(8);
    one.writeBigUInt64LE(1n);
    libc.write(this.#wakeFd, one, one.length);
  }

  #poll(): void {
    const watchers = [...this.#watchers];
    const entries = Buffer.alloc((watchers.length + 1) * entryBytes);
    writeEntry(entries, 0, { fd: this.#wakeFd, events: POLLIN });
    watchers.forEach((watcher, index) => {
      writeEntry(entries, index + 1, watcher);
    });
    this.#polling = true;
    libc.poll.async(entries, watchers.length + 1, -1, (error: Error | null, ready: number) => {
      this.#polling = false;
      if (error !== null) throw error;
      // Interrupted: nothing is known of any descriptor.
      if (ready < 0) entries.fill(0);
      libc.read(this.#wakeFd, Buffer.alloc(8), 8);
      watchers.forEach((watcher, index) => {
        const answer = entries.readInt16LE((index + 1) * entryBytes + 6);
        if (answer !== 0 && this.#watchers.has(watcher)) watcher.onReady();
      });
      if (!this.#polling && this.#watchers.size > 0) this.#poll();
    });
  }
}

/** struct pollfd: fd(4) events(2) what happened(2). */
function writeEntry(entries: Buffer, index: number, { fd, events }: Omit<Watcher, "onReady">) {
  entries.writeInt32LE(fd, index * entryBytes);
  entries.writeInt16LE(events, index * entryBytes + 4);
}

/** One is enough for a process. */
export const poller: Poller = new Poller();
