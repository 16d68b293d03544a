import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * Fails on an import that goes the wrong way (docs/architecture.md section 1).
 *
 * Usage: node tools/check-imports.ts [FOLDER]   (default: src)
 */

/** Lower may not import higher. Equal ranks may not import each other. */
const ranks: Readonly<Record<string, number>> = {
  lib: 0,
  api: 1,
  kernel: 1,
  datastore: 2,
  bgp: 3,
  ipam: 3,
  felix: 3,
  paths: 3,
  policy: 3,
  typha: 3,
  cni: 4,
  controllers: 4,
  takeover: 4,
  node: 4,
  cli: 5,
  web: 5,
  lab: 5,
  wiring: 6,
};

/** Ranks allow these, the design does not. */
const banned: readonly (readonly [from: string, to: string])[] = [["datastore", "kernel"]];

/** Pure parts: no clock, socket, process or file, so nothing from Node but hashing and comparing. */
const pure =
  /^(api|felix\/(calc|rules)|bgp\/(wire|fsm|rib|policy|config|fib|speaker\/speaker\.|bfd\/(packet|session)\.)|ipam\/block|policy|paths\/(advice|arrivals|datagram|findings|largest-size|metrics|own-node|path|peers|rate-limit|sample)\.)/;
const pureMayImport = new Set(["node:crypto", "node:util"]);

const importTarget = /(?:from|import\()\s*"([^"]+)"/g;

const root = process.argv[2] ?? "src";
let failures = 0;
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith(".ts")) continue;
  const file = relative(root, join(entry.parentPath, entry.name));
  for (const [, target = ""] of readFileSync(join(root, file), "utf8").matchAll(importTarget)) {
    const problem = judge(file, target);
    if (problem === undefined) continue;
    failures++;
    console.error(`${file}: ${problem} (${target})`);
  }
}
process.exitCode = failures === 0 ? 0 : 1;

function judge(file: string, target: string): string | undefined {
  if (target.startsWith("node:")) {
    return pure.test(file) && !pureMayImport.has(target) ? "pure part imports Node" : undefined;
  }
  if (!target.startsWith(".")) return undefined;
  const from = folderOf(file);
  const to = folderOf(join(file, "..", target));
  if (from === to || from === "main.ts") return undefined;
  if (banned.some(([f, t]) => f === from && t === to)) return `${from} may not import ${to}`;
  const allowed = (ranks[to] ?? Number.POSITIVE_INFINITY) < (ranks[from] ?? -1);
  return allowed ? undefined : `${from} may not import ${to}`;
}

function folderOf(file: string): string {
  return file.split("/")[0] ?? "";
}
