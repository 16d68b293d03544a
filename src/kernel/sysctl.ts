import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Sysctls by their path under /proc/sys, a name a part: ["net", "ipv4", "conf", "eth0.5", "rp_filter"].
 * They are those of the calling thread's network namespace: inside `inNetns` those of the other.
 */
export function readSysctl(path: readonly string[]): string {
  return readFileSync(sysctlFile(path), "utf8").trim();
}

/** Writes only what differs: a write may have effects of its own. */
export function writeSysctl(path: readonly string[], value: string): void {
  const file = sysctlFile(path);
  if (readFileSync(file, "utf8").trim() !== value) writeFileSync(file, value);
}

/** NAPI threads of a link, which is visible where /sys is that of the link's network namespace. */
export function setThreaded(link: string): void {
  writeFileSync(join("/sys/class/net", link, "threaded"), "1");
}

function sysctlFile(path: readonly string[]): string {
  const bad = path.find(
    (part) => part === "" || part === "." || part === ".." || part.includes("/"),
  );
  if (bad !== undefined) throw new RangeError(`Cannot name a sysctl with the part "${bad}"`);
  return join("/proc/sys", ...path);
}
