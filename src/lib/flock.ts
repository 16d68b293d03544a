import { closeSync, openSync } from "node:fs";
import { constants } from "node:os";
import koffi from "koffi";
import { type Clock, systemClock } from "./clock.ts";

const flock = koffi.load("libc.so.6").func("int flock(int, int)");
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;
const pauseMs = 1;

/**
 * A lock between processes on one file (flock(2)). A process that ends gives it up. Tasks are
 * synchronous, so that tasks of one process, which share the lock, never overlap.
 */
export class FileLock {
  readonly #fd: number;
  readonly #path: string;
  readonly #clock: Clock;
  #closed = false;

  constructor(path: string, clock: Clock = systemClock) {
    this.#path = path;
    this.#clock = clock;
    this.#fd = openSync(path, "a", 0o600);
  }

  /**
   * Runs `task` while no other process does. Other work goes on while it waits.
   *
   * @throws {Error} when the lock is not free within `patienceMs`: its holder is stopped or stuck.
   */
  async run<Result>(patienceMs: number, task: () => Result): Promise<Result> {
    const deadline = this.#clock.now() + patienceMs;
    while (!this.#take()) {
      if (this.#clock.now() >= deadline) throw this.#tooLong(patienceMs);
      await new Promise<void>((resolve) => this.#clock.setTimer(pauseMs, resolve));
    }
    return this.#finish(task);
  }

  /** As `run`, but the thread stands still while it waits: for what a constructor must do. */
  runBlocking<Result>(patienceMs: number, task: () => Result): Result {
    const deadline = this.#clock.now() + patienceMs;
    while (!this.#take()) {
      if (this.#clock.now() >= deadline) throw this.#tooLong(patienceMs);
      Atomics.wait(sleeper, 0, 0, pauseMs);
    }
    return this.#finish(task);
  }

  /** Whoever waits for the lock then fails. */
  close(): void {
    if (!this.#closed) closeSync(this.#fd);
    this.#closed = true;
  }

  #take(): boolean {
    if (this.#closed) throw new Error(`Cannot lock ${this.#path}: it is closed`);
    if (flock(this.#fd, LOCK_EX | LOCK_NB) === 0) return true;
    const code = koffi.errno();
    if (code === constants.errno.EAGAIN || code === constants.errno.EINTR) return false;
    throw new Error(`Cannot lock ${this.#path}: errno ${code}`);
  }

  #finish<Result>(task: () => Result): Result {
    try {
      return task();
    } finally {
      flock(this.#fd, LOCK_UN);
    }
  }

  #tooLong(patienceMs: number): Error {
    return new Error(`Cannot lock ${this.#path}: another process holds it since ${patienceMs} ms`);
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
