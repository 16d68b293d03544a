import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../wait-for.ts";

/*
 * What is left of containers when nobody removed them: processes, mounts and namespaces, found by the
 * runtime's own files in a folder that a test made.
 */

/** Kills the containers under containerd's state folder and that containerd's shims, and unmounts. */
export async function endBundles(state: string, socket: string): Promise<void> {
  const bundles = foldersIn(join(state, "io.containerd.runtime.v2.task/k8s.io"));
  const pids = [...bundles.flatMap(initPid), ...shimsOf(socket)];
  for (const pid of pids) killIfThere(pid);
  await waitFor(() => pids.every((pid) => commandLine(pid) === ""), { what: "containers' end" });
  unmountUnder(state);
}

/** Unmounts everything below a folder, the deepest first. */
export function unmountUnder(folder: string): void {
  const points = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((point) => point.startsWith(`${folder}/`))
    .sort()
    .reverse();
  for (const point of points) execFileSync("umount", ["--lazy", point]);
}

/** Processes whose command line names the socket, which is in a folder of the test's. */
function shimsOf(socket: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => {
      const words = commandLine(pid);
      return words.includes("containerd-shim") && words.includes(socket);
    });
}

function initPid(bundle: string): number[] {
  const file = join(bundle, "init.pid");
  return existsSync(file) ? [Number(readFileSync(file, "utf8"))] : [];
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function foldersIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}
