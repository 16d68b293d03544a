import { type ChildProcess, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { endChild } from "../end-child.ts";

const run = promisify(execFile);

/** A program that runs in the foreground in a namespace. What it says is kept for a failed test. */
export class DaemonProcess {
  readonly #child: ChildProcess;
  output = "";

  constructor(namespace: string, command: readonly string[], env: NodeJS.ProcessEnv = {}) {
    // ip replaces itself by the program: the child is the program itself.
    this.#child = spawn("ip", ["netns", "exec", namespace, ...command], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"], ...env },
    });
    const keep = (chunk: Buffer) => {
      this.output = (this.output + chunk.toString()).slice(-20_000);
    };
    this.#child.stdout?.on("data", keep);
    this.#child.stderr?.on("data", keep);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends the signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    await endChild(this.#child, signal);
  }
}

/** Output of a program. @throws with what it said when it fails. */
export async function outputOf(program: string, ...args: readonly string[]): Promise<string> {
  return (await run(program, args, { maxBuffer: 16 << 20 })).stdout;
}
