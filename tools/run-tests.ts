import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { readCell } from "../test/encapsulation/document.ts";
import type { CellResult } from "../test/encapsulation/matrix-lab.ts";
import { spawnInVm } from "../test/support/vm/spawn-in-vm.ts";
import { warmCompileCache } from "../test/support/vm/warm-compile-cache.ts";
import { thisRun, writeEncapsulationDocument } from "./write-encapsulation-doc.ts";
import { writeInteropDocument } from "./write-interop-doc.ts";

/**
 * Runs the tests, a group after the other, prints each group's time, and ends with the line that CI
 * reads: "N passed, N failed[, N skipped]".
 *
 * Usage: node tools/run-tests.ts [unit|netns|runtimes|interop|stores|vm|long|vm-long|...]...
 *        (default: the first six)
 *        node tools/run-tests.ts interop --write-doc   and writes docs/interop.md when all have passed
 *        node tools/run-tests.ts encapsulation encapsulation-vm --write-doc   docs/encapsulation.md, too
 */

interface Group {
  readonly name: string;
  readonly folders: readonly string[];
  readonly match: RegExp;
  /** Test files at once: those that start servers and namespaces share the machine. */
  readonly concurrency: number;
  /** Of one file: 5 minutes unless given. */
  readonly timeoutMs?: number;
  /** So many processes for all files, not one for each: most of these files take less than a process' start. */
  readonly shared?: boolean;
  /** In a virtual machine, for what only a distribution's kernel has, or what would change all of this machine. */
  readonly inVm?: boolean;
  /** Only when it is asked for: it takes long. */
  readonly onRequest?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

const longMs = 1_800_000;

/** Tests are patient there. */
const inVmEnv = { TORTIE_IN_VM: "1" };

/** The cells of docs/encapsulation.md. */
const encapsulation = {
  folders: ["test/encapsulation"],
  match: /\.long\.ts$/,
  concurrency: 1,
  onRequest: true,
} as const;

const groups: readonly Group[] = [
  {
    name: "unit",
    folders: ["test/unit", "test/states"],
    match: /\.test\.ts$/,
    concurrency: 4,
    shared: true,
  },
  { name: "stores", folders: ["test/conformance"], match: /\.test\.ts$/, concurrency: 2 },
  { name: "netns", folders: ["test/integration"], match: /\.test\.ts$/, concurrency: 3 },
  { name: "runtimes", folders: ["test/runtimes"], match: /\.test\.ts$/, concurrency: 2 },
  { name: "interop", folders: ["test/interop"], match: /\.test\.ts$/, concurrency: 2 },
  {
    name: "vm",
    folders: ["test/vm"],
    match: /\.test\.ts$/,
    concurrency: 2,
    timeoutMs: 900_000,
    inVm: true,
    env: inVmEnv,
  },
  {
    name: "long",
    folders: readdirSync("test").flatMap((name) => (name === "vm" ? [] : [`test/${name}`])),
    match: /\.long\.ts$/,
    concurrency: 1,
    timeoutMs: longMs,
    onRequest: true,
  },
  {
    name: "vm-long",
    folders: ["test/vm"],
    match: /\.long\.ts$/,
    concurrency: 1,
    timeoutMs: longMs,
    onRequest: true,
    inVm: true,
    env: inVmEnv,
  },
  { name: "encapsulation", ...encapsulation, timeoutMs: longMs },
  {
    name: "encapsulation-vm",
    ...encapsulation,
    timeoutMs: 10_800_000,
    inVm: true,
    env: { ENCAPSULATIONS: "IPIP,IPIPCrossSubnet", ENCAPSULATION_LABS: "2", ...inVmEnv },
  },
];

const writesDocument = process.argv.includes("--write-doc");
const asked = process.argv.slice(2).filter((word) => word !== "--write-doc");
const run = writesDocument ? thisRun() : "";
const resultsFolder = writesDocument ? mkdtempSync(join(tmpdir(), "tt-interop-")) : undefined;
const unknown = asked.find((name) => !groups.some((group) => group.name === name));
if (unknown !== undefined) {
  console.error(`There is no group "${unknown}": ${groups.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const chosen = groups.filter(({ name, onRequest }) =>
  asked.length === 0 ? onRequest !== true : asked.includes(name),
);
const cells: CellResult[] = [];

// Stripping types costs each test file more than most tests do.
const compileCache = join(import.meta.dirname, "../build/compile-cache");
const resultLine = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\n/gm;

const total = { passed: 0, failed: 0, skipped: 0 };
for (const group of chosen) {
  const files = group.folders.flatMap((folder) => filesIn(folder, group.match));
  if (files.length === 0) continue;
  const started = performance.now();
  const counts = await runGroup(group, files);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${group.name}: ${JSON.stringify(counts)} in ${seconds} s`);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}
if (resultsFolder !== undefined) {
  if (cells.length > 0) writeEncapsulationDocument(cells, run);
  else if (total.failed === 0) writeInteropDocument(resultsFolder);
  rmSync(resultsFolder, { recursive: true });
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

function filesIn(folder: string, match: RegExp): string[] {
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => match.test(file))
    .map((file) => join(folder, file))
    .sort();
}

async function runGroup(group: Group, files: readonly string[]): Promise<typeof total> {
  if (group.shared !== true) return runFiles(group, files);
  const shares = Array.from({ length: group.concurrency }, (_, share) =>
    files.filter((_file, index) => index % group.concurrency === share),
  );
  const counts = await Promise.all(
    shares.filter((share) => share.length > 0).map((share) => runFiles(group, share)),
  );
  const sum = (which: keyof typeof total) => counts.reduce((all, each) => all + each[which], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

/** The reporter's last line is the result; a runner that died without it counts as failed. */
async function runFiles(group: Group, files: readonly string[]): Promise<typeof total> {
  const args = [
    "--test",
    group.shared === true ? "--test-isolation=none" : `--test-concurrency=${group.concurrency}`,
    `--test-timeout=${group.timeoutMs ?? 300_000}`,
    "--test-reporter=./tools/reporter.ts",
    ...files,
  ];
  const { stdout, ended } = group.inVm ? startInVm(args, group) : start(args, group);
  let output = "";
  stdout?.on("data", (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-100_000);
    process.stdout.write(chunk.toString().replaceAll(resultLine, ""));
  });
  const code = await ended;
  cells.push(...output.split("\n").flatMap((line) => readCell(line.trimEnd()) ?? []));
  const result = [...output.matchAll(resultLine)].at(-1);
  const [, passed = "0", failed = "0", skips = "0"] = result ?? [];
  const counts = { passed: Number(passed), failed: Number(failed), skipped: Number(skips) };
  if (code !== 0 && counts.failed === 0) {
    console.log(`FAIL the ${group.name} tests ended with exit ${code}`);
    counts.failed = 1;
  }
  return counts;
}

/** A run of Node's test runner: what it prints, and how it ends. */
interface Run {
  readonly stdout: Readable | null;
  readonly ended: Promise<number | null>;
}

function start(args: readonly string[], group: Group): Run {
  const results = resultsFolder === undefined ? {} : { INTEROP_RESULTS: resultsFolder };
  const env = { NODE_COMPILE_CACHE: compileCache, ...process.env, ...group.env, ...results };
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], env });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  return { stdout: child.stdout, ended };
}

function startInVm(args: readonly string[], { env = {} }: Group): Run {
  const asked = Object.entries(process.env).filter(([name]) => name.startsWith("ENCAPSULATION"));
  const all = { ...env, ...Object.fromEntries(asked), NODE_COMPILE_CACHE: compileCache };
  const settings = Object.entries(all).map(([name, value]) => `${name}='${value}'`);
  const quoted = [process.execPath, ...args].map((word) => `'${word}'`);
  warmCompileCache(process.cwd(), compileCache);
  const { machine, exitCode } = spawnInVm(process.cwd(), [...settings, ...quoted].join(" "));
  // What it printed before counts: a table of encapsulations keeps what has been seen.
  const ended = exitCode.catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    return null;
  });
  return { stdout: machine.stdout, ended };
}
