import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { CodedError } from "../lib/errors.ts";
import {
  type ExecFailureCode,
  type ExecResult,
  encodeFrame,
  FrameReader,
  type HelperAnswer,
  type HelperProgram,
  helperPrograms,
  maxStreamBytes,
} from "./exec-helper-protocol.ts";

export type { ExecResult, HelperProgram } from "./exec-helper-protocol.ts";

export interface ExecFailure {
  readonly code: ExecFailureCode | "helper-died" | "closed" | "too-much-input" | "too-busy";
  readonly program: HelperProgram;
}

/** A program gave no exit code. One that failed by its exit code is a result, not an error. */
export class ExecError extends CodedError<ExecFailure> {
  override readonly name = "ExecError";
}

export interface RunOptions {
  /** Text for the program's stdin, at most 64 MB. */
  readonly stdin?: string;
  /** Default 30 s; then the program is killed. */
  readonly timeoutMs?: number;
}

/** Runs a few fixed programs, in the network namespace in which it was started. */
export interface ExecHelper {
  /** @throws {ExecError} */
  run(program: HelperProgram, args: readonly string[], options?: RunOptions): Promise<ExecResult>;
  /** Ends the helper and all that it runs. Pending calls are rejected. */
  close(): void;
}

const defaultTimeoutMs = 30_000;
const maxPending = 256;
const helperLimits = ["--max-semi-space-size=1", "--heap-growing-percent=30"];
const helperFile = fileURLToPath(
  new URL(`./exec-helper-process${import.meta.url.slice(-3)}`, import.meta.url),
);

/**
 * Starts the helper process. Call it first of all, while this process is small: the helper never
 * grows. A helper that died is started again by the next call.
 */
export function startExecHelper(): ExecHelper {
  return new HelperClient();
}

/** Of the owner's only what keeps the helper small: programs get none of it. */
function helperEnvironment(): Record<string, string> {
  const kept = ["NODE_COMPILE_CACHE", "MALLOC_MMAP_THRESHOLD_", "MALLOC_ARENA_MAX"].map(
    (name) => [name, process.env[name]] as const,
  );
  return Object.fromEntries(
    kept.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

interface Pending {
  readonly program: HelperProgram;
  readonly resolve: (result: ExecResult) => void;
  readonly reject: (error: ExecError) => void;
}

type HelperChild = ChildProcessByStdio<Writable, Readable, null>;

class HelperClient implements ExecHelper {
  readonly #pending = new Map<number, Pending>();
  #child: HelperChild | undefined;
  #closed = false;
  #lastId = 0;

  constructor() {
    this.#child = this.#start();
  }

  async run(
    program: HelperProgram,
    args: readonly string[],
    { stdin, timeoutMs = defaultTimeoutMs }: RunOptions = {},
  ): Promise<ExecResult> {
    this.#check(program, stdin);
    this.#child ??= this.#start();
    const child = this.#child;
    const id = ++this.#lastId;
    return new Promise<ExecResult>((resolve, reject) => {
      this.#pending.set(id, { program, resolve, reject });
      hold(child, true);
      const request = { id, program, args, timeoutMs, ...(stdin === undefined ? {} : { stdin }) };
      child.stdin.write(encodeFrame(request));
    });
  }

  close(): void {
    this.#closed = true;
    const child = this.#child;
    this.#child = undefined;
    child?.stdin.destroy();
    child?.stdout.destroy();
    this.#rejectAll("closed");
  }

  #check(program: HelperProgram, stdin: string | undefined): void {
    const problem: ExecFailure["code"] | undefined = this.#closed
      ? "closed"
      : !helperPrograms.includes(program)
        ? "not-allowed"
        : this.#pending.size >= maxPending
          ? "too-busy"
          : stdin !== undefined && Buffer.byteLength(stdin) > maxStreamBytes
            ? "too-much-input"
            : undefined;
    if (problem !== undefined) throw failure(program, problem);
  }

  #start(): HelperChild {
    const child = spawn(process.execPath, [...helperLimits, helperFile], {
      stdio: ["pipe", "pipe", "inherit"],
      env: helperEnvironment(),
      cwd: "/",
    });
    const died = (): void => this.#died(child);
    const reader = new FrameReader<HelperAnswer>();
    child.stdout.on("data", (piece: Buffer) => {
      try {
        for (const answer of reader.push(piece)) this.#settle(child, answer);
      } catch {
        // It no longer speaks our protocol: as good as dead.
        died();
      }
    });
    child.on("error", died);
    child.on("exit", died);
    // Writing to a helper that has just died: its exit tells us all there is to know.
    child.stdin.on("error", died);
    hold(child, false);
    return child;
  }

  #settle(child: HelperChild, answer: HelperAnswer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) hold(child, false);
    if ("result" in answer) pending.resolve(answer.result);
    else {
      const { code, message } = answer.failure;
      pending.reject(new ExecError(message, { code, program: pending.program }));
    }
  }

  #died(child: HelperChild): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    child.kill("SIGKILL");
    this.#rejectAll("helper-died");
  }

  #rejectAll(code: "helper-died" | "closed"): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { program, reject } of pending) reject(failure(program, code));
  }
}

const reasons: Readonly<Record<ExecFailure["code"], string>> = {
  closed: "the exec helper is closed",
  "helper-died": "the exec helper died",
  "not-allowed": "it is not in the list",
  "not-found": "it is not installed",
  "not-started": "it did not start",
  "too-busy": `${maxPending} calls are waiting`,
  "too-much-input": `its input has more than ${maxStreamBytes} octets`,
  "too-much-output": `its output has more than ${maxStreamBytes} octets`,
  timeout: "it takes too long",
};

function failure(program: HelperProgram, code: ExecFailure["code"]): ExecError {
  return new ExecError(`Cannot run ${program}: ${reasons[code]}`, { code, program });
}

/** An idle helper must not keep its owner alive. Pipes of a child are sockets. */
function hold(child: HelperChild, held: boolean): void {
  for (const part of [child, child.stdin as Socket, child.stdout as Socket]) {
    if (held) part.ref();
    else part.unref();
  }
}
