import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import koffi from "koffi";

const flock = koffi.load("libc.so.6").func("int flock(int, int)");
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
const pauseMs = 1;

/** A lock between processes on one file (flock(2)). A process that ends gives it up. */
export class FileLock {
  readonly #fd: number;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, "a", 0o600);
  }

  /**
   * Runs `task` while no other process does.
   *
   * @throws {Error} when the lock is not free within `patienceMs`: its holder is stopped or stuck.
   */
  run<Result>(patienceMs: number, task: () => Result): Result {
    const deadline = performance.now() + patienceMs;
    while (flock(this.#fd, LOCK_EX | LOCK_NB) !== 0) {
      const code = koffi.errno();
      if (code !== constants.errno.EAGAIN && code !== constants.errno.EINTR) {
        throw new Error(`Cannot lock ${this.#path}: errno ${code}`);
      }
      if (performance.now() > deadline) {
        throw new Error(
          `Cannot lock ${this.#path}: another process holds it since ${patienceMs} ms`,
        );
      }
      Atomics.wait(sleeper, 0, 0, pauseMs);
    }
    try {
      return task();
    } finally {
      flock(this.#fd, LOCK_UN);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
