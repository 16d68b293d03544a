import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/** One sh that runs script after script: starting a program from it costs what it costs by hand. */
export class Shell {
  readonly #child: ChildProcessByStdio<Writable, Readable, null> = spawn("sh", [], {
    stdio: ["pipe", "pipe", "inherit"],
  });

  /** Resolves when the script and what it left in the background have ended. */
  run(script: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#child.stdout.once("data", (answer: Buffer) => {
        if (answer.toString() === "0\n") resolve();
        else reject(new Error(`Cannot run by hand: ${script}`));
      });
      this.#child.stdin.write(`(${script}\n) >&2; echo $?\n`);
    });
  }

  close(): void {
    this.#child.stdin.end();
  }
}
