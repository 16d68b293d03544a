import { type ChildProcess, spawn } from "node:child_process";
import { Backoff } from "../lib/backoff.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { isAlive, type ProcessIdentity, processIdentity } from "../lib/own-process.ts";
import type { Service } from "../lib/service.ts";
import { removePidFile, runningProcess, writePidFile } from "./child-process-file.ts";

/*
 * Keeps the node's daemons running. A daemon outlives us when we are killed: it then goes on with
 * what it has, and the next `tortie node` finds it by its pid file and watches it, instead of
 * starting a second one. Only when we are asked to stop do we stop the daemons too.
 */

/** One daemon to keep running. */
export interface SupervisedChild {
  /** Name of its pid file. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** The argument by which it is known in /proc/PID/cmdline. */
  readonly subcommand: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface SupervisorPorts {
  readonly runDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Hears of each start and end. */
  onState?(name: string, state: ChildState): void;
}

export type ChildState =
  | { readonly kind: "running"; readonly pid: number }
  | { readonly kind: "stopped"; readonly reason: string };

const backoff = { minMs: 200, maxMs: 4000 };
/** A child that ran this long was well: its next failure is restarted at once. */
const wellAfterMs = 10_000;
const stopPatienceMs = 10_000;
const pollMs = 250;

/**
 * Runs one daemon until `signal` aborts, then stops it: SIGTERM, and SIGKILL after 10 s. A daemon
 * that ends is started again: at once the first time, later after a pause of up to 5 s.
 */
export function superviseChild(child: SupervisedChild, ports: SupervisorPorts): Service {
  return async (signal) => {
    const { clock, log, onState } = ports;
    const pauses = new Backoff(backoff);
    let failures = 0;
    while (!signal.aborted) {
      const startedAt = clock.now();
      const reason = await runOnce(child, ports, signal);
      onState?.(child.name, { kind: "stopped", reason });
      if (signal.aborted) return;
      if (clock.now() - startedAt >= wellAfterMs) {
        pauses.reset();
        failures = 0;
      }
      const pauseMs = failures === 0 ? 0 : pauses.next();
      failures++;
      log.warn({ child: child.name, reason, pauseMs }, "child ended");
      await clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  };
}

/** @returns why it ended. */
async function runOnce(
  child: SupervisedChild,
  ports: SupervisorPorts,
  signal: AbortSignal,
): Promise<string> {
  const { runDir, log, onState } = ports;
  const adopted = runningProcess(runDir, child.name, child.subcommand);
  if (adopted !== undefined) {
    log.info({ child: child.name, pid: adopted.pid }, "child found running");
    onState?.(child.name, { kind: "running", pid: adopted.pid });
    return await watchProcess(child, adopted, { ports, signal });
  }
  const process = spawn(child.program, child.args, {
    // A session of its own: what ends our terminal or our group does not end it.
    detached: true,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...child.env },
  });
  const ended = exitOf(process);
  const identity = process.pid === undefined ? undefined : processIdentity(process.pid);
  if (identity === undefined) return await ended;
  writePidFile(runDir, child.name, identity);
  log.info({ child: child.name, pid: identity.pid }, "child started");
  onState?.(child.name, { kind: "running", pid: identity.pid });
  return await watchProcess(child, identity, { ports, signal, ended });
}

function exitOf(process: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    process.once("error", (error) => resolve(error.message));
    process.once("exit", (code, killedBy) =>
      resolve(killedBy === null ? `exit code ${code}` : killedBy),
    );
  });
}

/** Waits for the end of a process, and brings it about when `signal` aborts. */
async function watchProcess(
  child: SupervisedChild,
  identity: ProcessIdentity,
  watch: {
    readonly ports: SupervisorPorts;
    readonly signal: AbortSignal;
    /** Absent for a process that is not our child: its end is seen in /proc. */
    readonly ended?: Promise<string>;
  },
): Promise<string> {
  const { ports, signal } = watch;
  const over = new AbortController();
  const ended = watch.ended ?? endOfProcess(identity, ports.clock, over.signal);
  const stop = () => void stopProcess(child, identity, { ports, over: over.signal });
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await ended;
  } finally {
    over.abort();
    signal.removeEventListener("abort", stop);
    removePidFile(ports.runDir, child.name, identity);
  }
}

async function endOfProcess(
  identity: ProcessIdentity,
  clock: Clock,
  over: AbortSignal,
): Promise<string> {
  while (isAlive(identity)) await clock.sleep(pollMs, over);
  return "ended";
}

async function stopProcess(
  child: SupervisedChild,
  identity: ProcessIdentity,
  { ports, over }: { readonly ports: SupervisorPorts; readonly over: AbortSignal },
): Promise<void> {
  kill(identity, "SIGTERM");
  try {
    await ports.clock.sleep(stopPatienceMs, over);
  } catch {
    // It ended in time.
    return;
  }
  ports.log.error({ child: child.name, pid: identity.pid }, "child killed");
  kill(identity, "SIGKILL");
}

function kill(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
