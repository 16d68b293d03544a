import { closeSync, constants, type FSWatcher, openSync, watch, writeSync } from "node:fs";
import type { Clock } from "../../lib/clock.ts";

/** A bell that was rung while nobody watched is heard at the latest after this long. */
const pollMs = 500;

/**
 * A file that a writer touches after it has committed, and that watchers of every process follow with
 * inotify. Hearing it says only "look": what changed is in the database.
 */
export class Doorbell {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #fd: number | undefined;
  #watcher: FSWatcher | undefined;
  #cancelPoll: () => void = () => undefined;

  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
  }

  /** Makes the file, so that watchers need not wait for the first ring. For writers only. */
  install(): number {
    this.#fd ??= openSync(this.#path, constants.O_WRONLY | constants.O_CREAT, 0o600);
    return this.#fd;
  }

  ring(): void {
    writeSync(this.install(), "!", 0);
  }

  /** Calls `heard` after every ring, perhaps more often, and at `close`. Returns what ends it. */
  listen(heard: () => void): () => void {
    this.#listeners.add(heard);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      this.#listeners.delete(heard);
      if (this.#listeners.size === 0) this.#stop();
    };
  }

  close(): void {
    this.#stop();
    this.#tell();
    this.#listeners.clear();
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #start(): void {
    const poll = () => {
      this.#watcher ??= this.#openWatcher();
      this.#tell();
      this.#cancelPoll = this.#clock.setTimer(pollMs, poll);
    };
    this.#watcher = this.#openWatcher();
    this.#cancelPoll = this.#clock.setTimer(pollMs, poll);
  }

  /** Undefined where nobody rang yet, or where inotify is exhausted: then the poll is all there is. */
  #openWatcher(): FSWatcher | undefined {
    try {
      const watcher = watch(this.#path, () => this.#tell());
      watcher.on("error", () => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      });
      return watcher;
    } catch {
      return undefined;
    }
  }

  #stop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#cancelPoll();
  }
}
