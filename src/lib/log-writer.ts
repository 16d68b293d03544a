import { write, writeSync } from "node:fs";

/** Characters that wait for a reader. More is lost, and counted. */
const maxWaiting = 1024 * 1024;
const retryMs = 20;
const nothing = Buffer.alloc(0);

/**
 * Where log lines go. What is logged in one turn goes out in one system call, on another thread: a pipe
 * whose reader is slow never stops the process. pino's own way out writes line by line and sleeps for
 * 100 ms then, and sessions with it.
 */
export class LogWriter {
  readonly #fd: number;
  #waiting = "";
  /** Being written, or the rest of it. */
  #unwritten: Buffer = nothing;
  #lost = 0;
  #isPlanned = false;

  constructor(fd: number) {
    this.#fd = fd;
    process.once("exit", () => this.#writeLast());
  }

  write(line: string): void {
    if (this.#waiting.length + line.length > maxWaiting) this.#lost++;
    else this.#waiting += line;
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    if (this.#unwritten.length === 0) {
      this.#unwritten = Buffer.from(this.#waiting);
      this.#waiting = "";
    }
    const bytes = this.#unwritten;
    write(this.#fd, bytes, 0, bytes.length, null, (error, written) => {
      const isBusy = error?.code === "EAGAIN";
      // Any other error means that there is nobody to read it.
      this.#unwritten = error === null || isBusy ? bytes.subarray(written) : nothing;
      this.#goOn(isBusy ? retryMs : 0);
    });
  }

  #goOn(delayMs: number): void {
    if (this.#unwritten.length > 0 || this.#waiting !== "") {
      setTimeout(() => this.#flush(), delayMs);
      return;
    }
    this.#isPlanned = false;
    if (this.#lost === 0) return;
    const record = { level: 40, time: Date.now(), msg: "Log lines lost", count: this.#lost };
    this.#lost = 0;
    this.write(`${JSON.stringify(record)}\n`);
  }

  /** What is being written by another thread is not ours any more: the process waits for it. */
  #writeLast(): void {
    try {
      writeSync(this.#fd, this.#waiting);
    } catch {
      // Nobody can be told.
    }
  }
}

/** All loggers write to it. */
export const standardError: LogWriter = new LogWriter(2);
