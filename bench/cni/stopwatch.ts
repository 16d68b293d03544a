import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";

/**
 * One bash that starts programs and takes their time, start to exit: a small process starts others fastest,
 * so that what is measured is theirs.
 */
export class Stopwatch {
  readonly #child: ChildProcessByStdio<Writable, Readable, null> = spawn("bash", [], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], LC_ALL: "C" },
  });
  #heard = "";

  /** `prepare`: a line that it runs first of all. */
  constructor(prepare: string) {
    this.#child.stdin.write(`${prepare}\n`);
  }

  /** Milliseconds that the script takes. What it prints is lost. */
  time(script: string): Promise<number> {
    const { stdin, stdout } = this.#child;
    return new Promise((resolve, reject) => {
      const take = (piece: Buffer) => {
        this.#heard += piece.toString();
        const [line, ...rest] = this.#heard.split("\n");
        if (rest.length === 0) return;
        stdout.off("data", take);
        this.#heard = rest.join("\n");
        const [code, micros] = (line ?? "").split(" ").map(Number);
        if (code === 0) resolve((micros ?? Number.NaN) / 1000);
        else reject(new Error(`Cannot run (exit ${code}): ${script}`));
      };
      stdout.on("data", take);
      stdin.write(
        `s=$EPOCHREALTIME; { ${script}\n} >&2; c=$?; e=$EPOCHREALTIME; echo "$c $((\${e/./}-\${s/./}))"\n`,
      );
    });
  }

  close(): void {
    this.#child.stdin.end();
  }
}
