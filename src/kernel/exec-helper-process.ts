import { constants } from "node:os";
import type { Readable } from "node:stream";
import { execa } from "execa";
import { errorMessage } from "../lib/errors.ts";
import {
  encodeFrame,
  FrameReader,
  type HelperAnswer,
  type HelperRequest,
  helperPrograms,
  maxStreamBytes,
} from "./exec-helper-protocol.ts";

/**
 * The exec helper: a process of its own that stays small, because starting a program costs a process
 * 5 ms for each 100 MB of its memory. It reads requests from stdin, writes answers to stdout, and
 * ends with its owner: then stdin ends, and all that it runs is killed.
 */

const fixedEnvironment = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };

const allowed = new Set<string>(helperPrograms);
const reader = new FrameReader<HelperRequest>();
/** Ends each program that runs. */
const running = new Set<() => void>();

// A Ctrl-C goes to the whole group; the owner may still need us to clean up.
process.on("SIGINT", () => undefined);
process.on("SIGHUP", () => undefined);
process.stdout.on("error", end);
process.stdin.on("error", end);
process.stdin.on("end", end);
process.stdin.on("data", (piece: Buffer) => {
  for (const request of reader.push(piece)) {
    void answer(request).then((message) => process.stdout.write(encodeFrame(message)));
  }
});

function end(): void {
  for (const kill of running) kill();
  process.exit(0);
}

async function answer(request: HelperRequest): Promise<HelperAnswer> {
  const { id } = request;
  try {
    return await run(request);
  } catch (error) {
    return { id, failure: { code: "not-started", message: errorMessage(error) } };
  }
}

async function run({ id, program, args, stdin, timeoutMs }: HelperRequest): Promise<HelperAnswer> {
  if (!allowed.has(program)) {
    return {
      id,
      failure: { code: "not-allowed", message: `Cannot run ${program}: not in the list` },
    };
  }
  // What execa does beside of it is done here: its buffers, timers and signals take as long as the spawn.
  const child = execa(program, args, {
    env: fixedEnvironment,
    extendEnv: false,
    cwd: "/",
    shell: false,
    reject: false,
    buffer: false,
    cleanup: false,
  });
  let failure: HelperFailure | undefined;
  const kill = (why?: HelperFailure) => {
    failure ??= why;
    child.kill("SIGKILL");
    // What it started itself, modprobe say, may live on and hold them open.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const kills = () => kill();
  running.add(kills);
  const late = `Cannot finish ${program} within ${timeoutMs} ms`;
  const timer = setTimeout(() => kill({ code: "timeout", message: late }), timeoutMs);
  const tooMuch = `Cannot run ${program}: it writes more than ${maxStreamBytes} octets`;
  const full = () => kill({ code: "too-much-output", message: tooMuch });
  const [stdout, stderr] = [collect(child.stdout, full), collect(child.stderr, full)];
  child.stdin.on("error", () => undefined);
  child.stdin.end(stdin);
  const { exitCode, signal, code } = await child;
  clearTimeout(timer);
  running.delete(kills);
  if (failure !== undefined) return { id, failure };
  if (exitCode === undefined && signal === undefined) {
    const message = `Cannot run ${program}: ${code}`;
    return { id, failure: { code: code === "ENOENT" ? "not-found" : "not-started", message } };
  }
  const ended = exitCode ?? 128 + (constants.signals[signal ?? "SIGKILL"] ?? 0);
  return { id, result: { code: ended, stdout: stdout(), stderr: stderr() } };
}

type HelperFailure = Extract<HelperAnswer, { readonly failure: object }>["failure"];

/** Gives the text, once the stream has ended. */
function collect(stream: Readable, onTooMuch: () => void): () => string {
  const pieces: Buffer[] = [];
  let size = 0;
  stream.on("data", (piece: Buffer) => {
    size += piece.length;
    if (size > maxStreamBytes) onTooMuch();
    else pieces.push(piece);
  });
  return () => Buffer.concat(pieces).toString("utf8");
}
