import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { cannotMakeNetns } from "../../test/support/netns.ts";
import { median, ms, type Row } from "../row.ts";
import { type ClusterSize, policyMix } from "./calc-cluster.ts";
import { endpoints, selectorMix, selectors } from "./calc-label-change.ts";
import type { MillionReport } from "./calc-million.ts";
import type { GraphReport } from "./calc-scenario.ts";

const program = fileURLToPath(new URL("calc-scenario.ts", import.meta.url));
const execute = promisify(execFile);
const maxBlockedMs = 200;

/** The rows of calculation. `quick`: one run of each, not the median of three. */
export function calcRows({ quick }: { readonly quick: boolean }): readonly (() => Promise<Row>)[] {
  const runs = quick ? 1 : 3;
  return [() => graphRow(runs), () => networkSetsRow(runs), labelChangeRow, millionMembersRow];
}

/** The graph on a big cluster, of which 200 pods are local. */
async function graphRow(runs: number): Promise<Row> {
  const size = { endpoints: 250_000, policies: 10_000, networkSets: 0 };
  const reports = await graphReports(size, runs);
  const took = median(reports.map((report) => report.ms));
  const rssMb = Math.max(...reports.map((report) => report.rssMb));
  const blockedMs = Math.max(...reports.map((report) => report.blockedMs));
  const blockedProcessorMs = Math.max(...reports.map((report) => report.blockedProcessorMs));
  return {
    work: `calc graph: 250,000 endpoints of which 200 local, 10,000 policies (${policyMix})`,
    measured: `${timesText(reports)}, ${rssMb.toFixed(0)} MB, blocked ${ms(blockedMs)} at most (processor ${ms(blockedProcessorMs)}); ${updatesText(reports)}`,
    mustReach: "<= 15 s, <= 2 GB, never blocked > 200 ms",
    reached: took <= 15_000 && rssMb <= 2_000 && blockedMs <= maxBlockedMs,
  };
}

/** The graph on a small cluster whose policies refer to network sets. */
async function networkSetsRow(runs: number): Promise<Row> {
  const size = { endpoints: 10_000, policies: 1_000, networkSets: 200 };
  const reports = await graphReports(size, runs);
  const took = median(reports.map((report) => report.ms));
  return {
    work: "calc graph: 10,000 endpoints, 1,000 policies that refer to 200 network sets of 100 nets",
    measured: `${timesText(reports)}; ${updatesText(reports)}`,
    mustReach: "<= 1 s",
    reached: took <= 1_000,
  };
}

async function labelChangeRow(): Promise<Row> {
  const times = (await report<number[]>("label-change")).toSorted((a, b) => a - b);
  const p99 = times[Math.floor(times.length * 0.99)] ?? Number.NaN;
  return {
    work: `label index: one endpoint's label change, ${thousands(endpoints)} endpoints x ${thousands(selectors)} selectors (of 100: ${selectorMix})`,
    measured: `median ${median(times).toFixed(3)} ms, p99 ${p99.toFixed(2)} ms`,
    mustReach: "median < 0.2 ms, p99 < 2 ms",
    reached: median(times) < 0.2 && p99 < 2,
  };
}

/** Not in the table: what such a set did to the event loop. */
async function millionMembersRow(): Promise<Row> {
  const work = "a set of a million members: calculated, written to the kernel, compared with it";
  const mustReach = "never blocked > 200 ms";
  const reason = cannotMakeNetns();
  if (reason !== false) return { work, measured: `not measured: ${reason}`, mustReach };
  const { steps, rssMb } = await report<MillionReport>("million");
  const texts = Object.entries(steps).map(
    ([name, step]) => `${name} ${ms(step.blockedMs)} (processor ${ms(step.blockedProcessorMs)})`,
  );
  return {
    work,
    measured: `blocked at most: ${texts.join(", ")}; ${rssMb.toFixed(0)} MB`,
    mustReach,
    reached: Object.values(steps).every(({ blockedMs }) => blockedMs <= maxBlockedMs),
  };
}

async function graphReports(size: ClusterSize, runs: number): Promise<GraphReport[]> {
  const reports: GraphReport[] = [];
  for (let run = 0; run < runs; run++) {
    reports.push(await report<GraphReport>("graph", JSON.stringify(size)));
  }
  return reports;
}

/** What a scenario in a child process reports. Node runs as bin/tortie runs it. */
async function report<Report>(...scenario: readonly string[]): Promise<Report> {
  const args = ["--max-semi-space-size=4", program, ...scenario];
  const { stdout } = await execute(process.execPath, args, {
    env: { ...process.env, MALLOC_MMAP_THRESHOLD_: "131072" },
    maxBuffer: 1 << 24,
  });
  return JSON.parse(stdout) as Report;
}

/** Processor time too: a busy machine makes it longer only a little. */
function timesText(reports: readonly GraphReport[]): string {
  const processor = median(reports.map((report) => report.processorMs));
  return `${seconds(median(reports.map((report) => report.ms)))} (processor ${seconds(processor)})`;
}

function updatesText([first]: readonly GraphReport[]): string {
  const { policy = 0, ipSet = 0, route = 0 } = first?.updates ?? {};
  return `output ${policy} policies, ${ipSet} sets, ${route} routes`;
}

function seconds(value: number): string {
  return `${(value / 1_000).toFixed(2)} s`;
}

function thousands(value: number): string {
  return value.toLocaleString("en");
}
