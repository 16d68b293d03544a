import { constants } from "node:os";
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
const ownerGone = new AbortController();

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
  ownerGone.abort();
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
  const running = execa(program, args, {
    env: fixedEnvironment,
    extendEnv: false,
    cwd: "/",
    shell: false,
    reject: false,
    stripFinalNewline: false,
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    cancelSignal: ownerGone.signal,
    maxBuffer: maxStreamBytes,
  });
  // As `input` it would cost another millisecond of our time.
  running.stdin.end(stdin);
  const result = await running;
  if (result.timedOut) {
    const message = `Cannot finish ${program} within ${timeoutMs} ms`;
    return { id, failure: { code: "timeout", message } };
  }
  if (result.isMaxBuffer) {
    const message = `Cannot run ${program}: it writes more than ${maxStreamBytes} octets`;
    return { id, failure: { code: "too-much-output", message } };
  }
  if (result.exitCode === undefined && result.signal === undefined) {
    const code = result.code === "ENOENT" ? "not-found" : "not-started";
    return { id, failure: { code, message: `Cannot run ${program}: ${result.code}` } };
  }
  const code = result.exitCode ?? 128 + (constants.signals[result.signal ?? "SIGKILL"] ?? 0);
  return { id, result: { code, stdout: result.stdout, stderr: result.stderr } };
}
