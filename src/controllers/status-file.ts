import { accessSync, constants, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Datastore, unlessAbsent } from "../datastore/datastore.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { aborted, type Service } from "../lib/service.ts";
import type { ElectionState } from "./reflectors/election-controller.ts";

/** How far the controllers' work is. */
export interface ControllersState {
  /** This process works; else another does, or none. */
  isLeading: boolean;
  /** Of the leader. */
  reflectors?: ElectionState | undefined;
}

/** How the controllers are, as the file says it that probes read (facts 7.7). */
export interface ControllersStatus extends Partial<ControllersState> {
  /** ISO time of the writing. */
  readonly time: string;
  readonly ready: boolean;
  /** Why not; empty when all is well. */
  readonly reason: string;
}

export interface StatusPorts {
  readonly state: ControllersState;
  readonly datastore: Datastore;
  readonly clock: Clock;
  readonly log: Logger;
}

type Env = Readonly<Record<string, string | undefined>>;

const writeMs = 10_000;
/** A file that is older tells that its writer hangs. */
const staleMs = 60_000;

export function statusFile(env: Env): string {
  return env["TORTIE_STATUS_FILE"] || "/status/status.json";
}

/**
 * What a process before this one has written is not true of this one: its folder outlives it where a container is
 * started again.
 */
export function forgetStatus(path: string): void {
  rmSync(path, { force: true });
}

/**
 * Writes every 10 s how this process is: ready while the datastore answers. Where the folder of the file
 * is not there, nobody asks.
 */
export function keepStatusFile(
  path: string,
  { state, datastore, clock, log }: StatusPorts,
): Service {
  return async (signal) => {
    try {
      accessSync(dirname(path), constants.W_OK);
    } catch (error) {
      log.info({ path, reason: errorMessage(error) }, "no status file is kept");
      await aborted(signal);
      return;
    }
    while (!signal.aborted) {
      const reason = await whyNotReady(datastore);
      const time = clock.date().toISOString();
      const status: ControllersStatus = { time, ready: reason === "", reason, ...state };
      writeFileSync(`${path}.new`, `${JSON.stringify(status)}\n`);
      renameSync(`${path}.new`, path);
      await clock.sleep(writeMs, signal).catch(() => undefined);
    }
  };
}

async function whyNotReady(datastore: Datastore): Promise<string> {
  try {
    await unlessAbsent(datastore.get({ kind: "ClusterInformation", name: "default" }));
    return "";
  } catch (error) {
    return errorMessage(error);
  }
}

/**
 * Why the controllers of a status file are not as asked; "" when they are.
 *
 * @throws {InputError} when the file cannot be read.
 */
export function statusProblem(path: string, question: "live" | "ready", now: Date): string {
  const { time, ready, reason } = readStatus(path);
  const ageMs = now.getTime() - new Date(time).getTime();
  if (!(ageMs < staleMs)) return `${path} was last written at ${time}`;
  return question === "ready" && !ready ? reason : "";
}

/** @throws {InputError} when the file cannot be read. */
export function readStatus(path: string): ControllersStatus {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ControllersStatus;
  } catch (cause) {
    throw new InputError(`Cannot read ${path}: ${errorMessage(cause)}`, { cause });
  }
}
