import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive, type ProcessIdentity, processIdentity } from "../lib/own-process.ts";

/** Folder of pid files and sockets of this node. */
export function runDirectory(env: Readonly<Record<string, string | undefined>>): string {
  return env["TORTIE_RUN_DIR"] || "/var/run/calico/tortie";
}

/** Where felix writes how it is. */
export function felixHealthFile(folder: string): string {
  return join(folder, "felix-health.json");
}

/** Makes the folder, for us alone. */
export function makeRunDirectory(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** A pid file holds the pid, and in its second line the start time that tells it from a later one. */
export function writePidFile(folder: string, name: string, identity: ProcessIdentity): void {
  const file = join(folder, `${name}.pid`);
  writeFileSync(`${file}.new`, `${identity.pid}\n${identity.startTime}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Removes a pid file that still says what we wrote. */
export function removePidFile(folder: string, name: string, identity: ProcessIdentity): void {
  if (readPidFile(folder, name)?.pid === identity.pid) rmSync(join(folder, `${name}.pid`));
}

function readPidFile(
  folder: string,
  name: string,
): { readonly pid: number; readonly startTime?: string } | undefined {
  try {
    const [pidText = "", startTime = ""] = readFileSync(join(folder, `${name}.pid`), "utf8").split(
      "\n",
    );
    const pid = Number(pidText);
    if (!Number.isInteger(pid) || pid <= 1) return undefined;
    return { pid, ...(startTime === "" ? {} : { startTime }) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * The process of a pid file, if it still runs, is the very one that was started, and is
 * `tortie <subcommand>`.
 */
export function runningProcess(
  folder: string,
  name: string,
  subcommand: string,
): ProcessIdentity | undefined {
  const written = readPidFile(folder, name);
  if (written === undefined) return undefined;
  const identity = processIdentity(written.pid);
  if (identity === undefined) return undefined;
  if (written.startTime !== undefined && written.startTime !== identity.startTime) return undefined;
  return commandLine(identity).includes(subcommand) && isAlive(identity) ? identity : undefined;
}

function commandLine(identity: ProcessIdentity): string[] {
  try {
    return readFileSync(`/proc/${identity.pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It ended just now.
    return [];
  }
}
