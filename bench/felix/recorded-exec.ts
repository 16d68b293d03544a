import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ExecHelper,
  type ExecResult,
  type HelperProgram,
  type RunOptions,
  startExecHelper,
} from "../../src/kernel/exec-helper.ts";

const idleMs = 300;

export interface RecordedRun {
  readonly program: HelperProgram;
  readonly args: readonly string[];
  readonly stdin: string;
  /** Times of `performance.now`. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** The exec helper, and what it ran. */
export class RecordedExec implements ExecHelper {
  readonly #exec = startExecHelper();
  #lastAt = 0;
  #running = 0;
  runs: RecordedRun[] = [];

  async run(
    program: HelperProgram,
    args: readonly string[],
    options: RunOptions = {},
  ): Promise<ExecResult> {
    const startedAt = performance.now();
    this.#running++;
    try {
      const result = await this.#exec.run(program, args, options);
      const endedAt = performance.now();
      this.runs.push({ program, args, stdin: options.stdin ?? "", startedAt, endedAt });
      return result;
    } finally {
      this.#running--;
      this.#lastAt = performance.now();
    }
  }

  /** Until nothing was run for longer than kernel events of a change are gathered. */
  async idle(): Promise<void> {
    this.#lastAt = performance.now();
    while (this.#running > 0 || performance.now() - this.#lastAt < idleMs) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  close(): void {
    this.#exec.close();
  }
}

/** Saves and restores of one family's table: one after the other, beside those of other tables. */
function tableOf({ program, args, stdin }: RecordedRun): string {
  const family = program.startsWith("ip6") ? 6 : 4;
  const named = /^\*(\w+)/.exec(stdin)?.[1] ?? args[args.indexOf("-t") + 1];
  return `${family} ${named}`;
}

/** A table that was read again and again could have been read once. */
function firstSaves(sequence: readonly RecordedRun[]): RecordedRun[] {
  return sequence.filter(({ stdin }) => stdin === "").slice(0, 1);
}

/** The same runs by hand, as a script: families and tables at once, what they restore in files. */
export function byHand(runs: readonly RecordedRun[], folder: string): string {
  const tables = Map.groupBy(
    runs.toSorted((a, b) => a.startedAt - b.startedAt),
    tableOf,
  );
  const sequences = [...tables.values()].map((sequence, table) =>
    [...firstSaves(sequence), ...sequence.filter(({ stdin }) => stdin !== "")]
      .map(({ program, args, stdin }, index) => {
        const file = join(folder, `${table}-${index}`);
        writeFileSync(file, stdin);
        return `${program} ${args.join(" ")} < ${file} > ${folder}/out-${table}`;
      })
      .join(" && "),
  );
  const started = sequences.map((sequence, index) => `(${sequence}) & p${index}=$!`);
  const waited = sequences.map((_, index) => `wait $p${index} || exit 1`);
  return [...started, ...waited].join("\n");
}
