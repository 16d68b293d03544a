import { readdirSync, readFileSync } from "node:fs";

/** Resident memory of a process and all that it started, in MB (10^6). */
export function treeRss(root: number): number {
  const kilobytes = pidsOfTree(root).map((pid) =>
    Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0),
  );
  return (sum(kilobytes) * 1024) / 1e6;
}

/** Processor time of a process and all that it started, in ms. Threads that ended are not in it. */
export function treeProcessorTime(root: number): number {
  const nanoseconds = pidsOfTree(root).flatMap((pid) =>
    list(`/proc/${pid}/task`).map((task) =>
      Number(read(`/proc/${pid}/task/${task}/schedstat`).split(" ")[0] ?? 0),
    ),
  );
  return sum(nanoseconds) / 1e6;
}

function pidsOfTree(root: number): number[] {
  const pids = list("/proc").filter((entry) => /^\d+$/.test(entry));
  const parents = new Map(pids.map((pid) => [Number(pid), parentOf(pid)]));
  const inTree = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
      if (at === root) return true;
    }
    return false;
  };
  return [...parents.keys()].filter(inTree);
}

function parentOf(pid: string): number {
  const stat = read(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** A process may end between the listing and the reading. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
