/** Lines that are kept for those who ask later, and that wait for one who follows. */
const keptLines = 500;
const waitingLines = 1000;

/** The last lines of the log, and what follows. Behind the logger: what it hides is hidden here. */
export class LogTail {
  readonly #lines: string[] = [];
  readonly #followers = new Set<(line: string) => void>();

  /** Takes one line as the logger writes it. */
  write(line: string): void {
    const text = line.trimEnd();
    this.#lines.push(text);
    if (this.#lines.length > keptLines) this.#lines.shift();
    for (const follower of this.#followers) follower(text);
  }

  last(): readonly unknown[] {
    return this.#lines.map(parsed);
  }

  /** What is written from now on. A reader that is too slow is told how many lines it has missed. */
  async *follow(signal: AbortSignal): AsyncGenerator<unknown> {
    const waiting: string[] = [];
    let missed = 0;
    let wake: () => void = () => undefined;
    const follower = (line: string) => {
      if (waiting.length < waitingLines) waiting.push(line);
      else missed++;
      wake();
    };
    const stop = () => wake();
    this.#followers.add(follower);
    signal.addEventListener("abort", stop, { once: true });
    try {
      while (!signal.aborted) {
        for (let line = waiting.shift(); line !== undefined; line = waiting.shift()) {
          yield parsed(line);
        }
        if (missed > 0) yield { missed };
        missed = 0;
        if (waiting.length > 0 || signal.aborted) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      this.#followers.delete(follower);
      signal.removeEventListener("abort", stop);
    }
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return { msg: line };
  }
}
