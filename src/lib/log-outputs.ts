import { type LogLevel, levelNumber } from "./log.ts";

/** Takes whole lines; `level` is pino's number. Must not wait for anybody. */
export interface LogOutput {
  write(line: string, level: number): void;
}

/** A logger's destination: several outputs, each from its own level on, changed while it runs. */
export class LogOutputs {
  /** pino sets it before each line. */
  lastLevel = 0;
  #outputs: readonly { readonly from: number; readonly output: LogOutput }[] = [];

  constructor() {
    // Makes pino set it.
    Object.assign(this, { [Symbol.for("pino.metadata")]: true });
  }

  /** Replaces those of before. @returns the level that a logger needs. */
  set(outputs: readonly (readonly [from: LogLevel, output: LogOutput])[]): LogLevel {
    this.#outputs = outputs.map(([from, output]) => ({ from: levelNumber(from), output }));
    const [first] = outputs.map(([from]) => from).sort((a, b) => levelNumber(a) - levelNumber(b));
    return first ?? "silent";
  }

  write(line: string): void {
    const level = this.lastLevel;
    for (const { from, output } of this.#outputs) if (level >= from) output.write(line, level);
  }
}
