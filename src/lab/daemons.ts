import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isAlive, type ProcessIdentity, processIdentity } from "../lib/own-process.ts";
import { netnsPath } from "./fabric.ts";

/** The executable that users run: it execs Node, so a signal to its pid reaches us. */
export const tortieProgram: string = fileURLToPath(new URL("../../bin/tortie", import.meta.url));

export interface Daemon {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Absent: the caller's namespace. */
  readonly netns?: string;
  /** Its working folder; absent: ours. */
  readonly folder?: string;
  /** Standard output and error are appended to it. */
  readonly log: string;
}

/** Starts a program in a session of its own, that outlives us. */
export function startDaemon(daemon: Daemon): ProcessIdentity {
  mkdirSync(dirname(daemon.log), { recursive: true, mode: 0o700 });
  const log = openSync(daemon.log, "a", 0o600);
  const [program, ...args] =
    daemon.netns === undefined
      ? [daemon.program, ...daemon.args]
      : ["nsenter", `--net=${netnsPath(daemon.netns)}`, daemon.program, ...daemon.args];
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", log, log],
      ...(daemon.folder === undefined ? {} : { cwd: daemon.folder }),
      env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", ...daemon.env },
    });
    child.unref();
    const identity = child.pid === undefined ? undefined : processIdentity(child.pid);
    if (identity === undefined)
      throw new Error(`Cannot start ${daemon.program}: see ${daemon.log}`);
    return identity;
  } finally {
    closeSync(log);
  }
}

/** SIGTERM, then SIGKILL to what is left after `patienceMs`. Processes that are gone are no error. */
export async function stopProcesses(
  processes: readonly ProcessIdentity[],
  patienceMs: number,
): Promise<void> {
  for (const process of processes) sendSignal(process, "SIGTERM");
  const deadline = Date.now() + patienceMs;
  while (processes.some(isAlive) && Date.now() < deadline) await delay(50);
  for (const process of processes) sendSignal(process, "SIGKILL");
  while (processes.some(isAlive)) await delay(10);
}

function sendSignal(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The process of a pid file, if it runs. */
export function processOfPidFile(file: string): ProcessIdentity | undefined {
  if (!existsSync(file)) return undefined;
  const pid = Number.parseInt(readFileSync(file, "utf8"), 10);
  return Number.isInteger(pid) && pid > 1 ? processIdentity(pid) : undefined;
}

/** Processes of one node, as its pid files say. */
export function nodeProcesses(runFolder: string): {
  readonly node?: ProcessIdentity;
  readonly felix?: ProcessIdentity;
  readonly bgp?: ProcessIdentity;
} {
  const of = (name: string) => processOfPidFile(join(runFolder, `${name}.pid`));
  const [node, felix, bgp] = [of("node"), of("felix"), of("bgp")];
  return { ...(node ? { node } : {}), ...(felix ? { felix } : {}), ...(bgp ? { bgp } : {}) };
}
