import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Programs of Calico, as the kernel names their processes. */
const agents: ReadonlySet<string> = new Set([
  "bird",
  "bird6",
  "calico-felix",
  "calico-node",
  "confd",
  "felix",
  "calico",
]);

/** TCP ports that a node's programs listen on, and whose they are. */
const ports: ReadonlyMap<number, string> = new Map([
  [179, "BGP"],
  [9091, "felix' metrics"],
  [9098, "Typha's health"],
  [9099, "felix' health"],
]);

const listening = "0A";

/** Who of Calico runs in this network namespace, and who listens where tortie would. */
export function agentsNotes(): string[] {
  const own = readlinkSync("/proc/self/ns/net");
  const running = new Map<string, number[]>();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const name = programOf(pid, own);
    if (name === undefined || !agents.has(name)) continue;
    running.set(name, [...(running.get(name) ?? []), Number(pid)]);
  }
  const notes = [...running].map(([name, pids]) => `${name} runs here: process ${pids.join(", ")}`);
  if (notes.length > 0) {
    notes.push("it must end before tortie starts, as each would undo what the other writes");
  }
  for (const port of listeners()) notes.push(`somebody listens on TCP ${port}: ${ports.get(port)}`);
  return notes;
}

/** Undefined for a process of another network namespace, or one that has ended. */
function programOf(pid: string, netns: string): string | undefined {
  try {
    if (readlinkSync(`/proc/${pid}/ns/net`) !== netns) return undefined;
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return undefined;
  }
}

function listeners(): number[] {
  const lines = ["tcp", "tcp6"].flatMap((file) => {
    try {
      return readFileSync(`/proc/self/net/${file}`, "utf8").split("\n").slice(1);
    } catch {
      // There is no IPv6.
      return [];
    }
  });
  const found = lines.flatMap((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.split(":")[1] ?? "", 16);
    return state === listening && ports.has(port) ? [port] : [];
  });
  return [...new Set(found)].sort((a, b) => a - b);
}
