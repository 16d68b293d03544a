import { closeSync, type FSWatcher, openSync, watch, writeSync } from "node:fs";

/** A bell that was rung while nobody watched is heard at the latest after this long. */
const pollMs = 500;

/**
 * A file that a writer touches after it has committed, and that watchers of every process follow with
 * inotify. Hearing it says only "look": what changed is in the database.
 */
export class Doorbell {
  readonly #path: string;
  readonly #fd: number;
  readonly #listeners = new Set<() => void>();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, "w", 0o600);
  }

  ring(): void {
    writeSync(this.#fd, "!", 0);
  }

  /** Calls `heard` after every ring, perhaps more often. Returns what ends it. */
  listen(heard: () => void): () => void {
    this.#listeners.add(heard);
    if (this.#watcher === undefined) {
      const tell = () => {
        for (const listener of this.#listeners) listener();
      };
      this.#watcher = watch(this.#path, tell);
      this.#watcher.on("error", () => undefined);
      this.#timer = setInterval(tell, pollMs);
    }
    return () => {
      this.#listeners.delete(heard);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
    closeSync(this.#fd);
  }

  #stop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    clearInterval(this.#timer);
  }
}
