import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a target is started with: it listens on port 179 for passive clients of one AS. */
export interface TargetPlan {
  readonly netns: string;
  readonly address: string;
  readonly asn: number;
  readonly holdSeconds: number;
  /** Addresses of the clients, each a route reflector client. */
  readonly clients: readonly string[];
  /** A fresh folder: configuration, sockets and output go there. */
  readonly folder: string;
}

export interface RunningTarget {
  readonly pid: number;
  /** File of bench/bgp/probe where the target has it. */
  readonly probe?: string;
  stop(): Promise<void>;
}

export interface Target {
  readonly name: string;
  /** Configurations of one daemon share it; absent: the name. */
  readonly daemon?: string;
  /** Why it cannot run here. */
  readonly missing: () => string | undefined;
  readonly version: () => string;
  readonly start: (plan: TargetPlan) => Promise<RunningTarget>;
  /** Proposed by the clients. A short one shows a keepalive that is late. Absent: 90. */
  readonly holdSeconds?: number;
}

/** Files of the configuration, and the command that runs in the foreground of the namespace. */
export interface TargetCommand {
  readonly files: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a command in the target's namespace. Ready is when something listens on port 179 there. */
export async function startCommand(
  { netns, folder }: TargetPlan,
  { files, command, env = {} }: TargetCommand,
): Promise<RunningTarget> {
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  }
  const log = join(folder, "output.log");
  const output = openSync(log, "w");
  const child = spawn("ip", ["netns", "exec", netns, ...command], {
    stdio: ["ignore", output, output],
    env: { ...process.env, ...env },
  });
  closeSync(output);
  const pid = child.pid ?? 0;
  const stop = () => end(child);
  try {
    await listens(netns, child);
  } catch (error) {
    await stop();
    const words = readFileSync(log, "utf8").trim().split("\n").slice(0, 5).join("; ");
    throw new Error(`${(error as Error).message}: ${words}`, { cause: error });
  }
  return { pid, stop };
}

export function makeTargetFolder(name: string): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), `tortie-bench-${name}-`));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export function firstLine(program: string, args: readonly string[]): string {
  return execFileSync(program, [...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
    .split("\n")[0]!
    .trim();
}

const startLimitMs = 30_000;
const endLimitMs = 5000;

async function listens(netns: string, child: ChildProcess): Promise<void> {
  for (const limit = performance.now() + startLimitMs; performance.now() < limit; ) {
    if (child.exitCode !== null) throw new Error(`the target ended with exit ${child.exitCode}`);
    const sockets = execFileSync("ip", ["netns", "exec", netns, "ss", "-Hltn"], {
      encoding: "utf8",
    });
    if (/:179\s/.test(sockets)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the target does not listen on port 179");
}

/** SIGTERM, then SIGKILL. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), endLimitMs);
  await exit;
  clearTimeout(timer);
}
