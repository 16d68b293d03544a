import { defaultRequest, type Encapsulation, type LabRequest } from "../../src/lab/lab-plan.ts";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { Background, TestLab } from "../../test/support/lab.ts";
import { waitFor } from "../../test/support/wait-for.ts";
import { median, type Row } from "../row.ts";
import { Twin } from "./twin.ts";

const atLeast = 0.95;

/** From a pod of one node to one of another. */
interface Path {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

interface Figures {
  readonly gigabits: number;
  readonly p50: number;
  readonly p99: number;
}

/** Medians; `ratios` those of ours to the copy's of the same round, times the other way round. */
interface Comparison {
  readonly ours: Figures;
  readonly byHand: Figures;
  readonly ratios: Figures;
}

interface Effort {
  readonly runs: number;
  readonly seconds: number;
  readonly pings: number;
}

const modes: readonly (readonly [Encapsulation, segments: number])[] = [
  ["None", 1],
  ["VXLAN", 1],
  ["VXLANCrossSubnet", 2],
];

/** Rows of each mode: throughput, and round trips. */
export function pathRows({ quick }: { readonly quick: boolean }): (() => Promise<Row>)[] {
  const effort = quick ? { runs: 3, seconds: 1, pings: 300 } : { runs: 5, seconds: 5, pings: 2000 };
  const compared = modes.flatMap(([mode, segments]) => {
    let measuring: Promise<Comparison> | undefined;
    const measure = () => {
      measuring ??= compare(mode, segments, effort);
      return measuring;
    };
    const where = segments === 1 ? "one segment" : "between segments";
    return [
      async () => throughputRow(`${mode}, ${where}`, await measure()),
      async () => roundTripRow(`${mode}, ${where}`, await measure()),
    ];
  });
  return [...compared, () => udpRow(effort)];
}

/** Packets go through a program of ours: nothing can be made by hand to hold it against. */
async function udpRow(effort: Effort): Promise<Row> {
  const all = await inLab("UDP", 1, async (lab, status) => {
    const figures: Figures[] = [];
    for (let round = 0; round < effort.runs; round++) {
      figures.push(await measure(pathOf(status), lab, effort));
    }
    return figures;
  });
  const { gigabits, p50, p99 } = medians(all);
  return {
    work: "UDP, one segment, a last resort: TCP, and round trip, from pod to pod",
    measured: `${gigabits.toFixed(2)} Gbit/s, p50 ${micros(p50)}, p99 ${micros(p99)}`,
    mustReach: "-",
  };
}

function throughputRow(mode: string, { ours, byHand, ratios }: Comparison): Row {
  const ratio = ratios.gigabits;
  return {
    work: `${mode}: TCP from pod to pod`,
    measured: `${ours.gigabits.toFixed(1)} Gbit/s, by hand ${byHand.gigabits.toFixed(1)}: ${ratio.toFixed(2)} x`,
    mustReach: `>= ${atLeast} x by hand`,
    reached: ratio >= atLeast,
  };
}

function roundTripRow(mode: string, { ours, byHand, ratios }: Comparison): Row {
  const ratio = ratios.p50;
  const text = ({ p50, p99 }: Figures) => `p50 ${micros(p50)}, p99 ${micros(p99)}`;
  return {
    work: `${mode}: round trip from pod to pod`,
    measured: `${text(ours)}, by hand ${text(byHand)}: p50 by hand is ${ratio.toFixed(2)} x ours`,
    mustReach: `p50 by hand >= ${atLeast} x ours`,
    reached: ratio >= atLeast,
  };
}

function micros(milliseconds: number): string {
  return `${Math.round(milliseconds * 1000)} us`;
}

async function compare(
  encapsulation: Encapsulation,
  segments: number,
  effort: Effort,
): Promise<Comparison> {
  return inLab(encapsulation, segments, async (lab, status, request) => {
    const twin = new Twin(lab, status, request);
    try {
      await twin.up();
      const [ours, [first, last]] = [pathOf(status), endsOf(status)];
      const byHand = { ...ours, from: twin.netnsOf(first), to: twin.netnsOf(last) };
      return await alternate([ours, byHand], lab, effort);
    } finally {
      await twin.down();
    }
  });
}

/** A lab of two nodes with a pod each. */
async function inLab<Result>(
  encapsulation: Encapsulation,
  segments: number,
  work: (lab: TestLab, status: LabStatus, request: LabRequest) => Promise<Result>,
): Promise<Result> {
  const request: LabRequest = { ...defaultRequest, nodes: 2, segments, pods: 1, encapsulation };
  const lab = new TestLab(`p${encapsulation.toLowerCase()}`);
  try {
    const size = ["--nodes", "2", "--segments", `${segments}`, "--pods", "1"];
    await lab.mustLab("up", "--encapsulation", encapsulation, ...size);
    return await work(lab, await lab.status(), request);
  } finally {
    await lab.down();
  }
}

function endsOf({
  pods,
}: LabStatus): readonly [LabStatus["pods"][number], LabStatus["pods"][number]] {
  const [first, last] = [pods[0], pods.at(-1)];
  if (first === undefined || last === undefined) throw new Error("Cannot measure without pods");
  return [first, last];
}

function pathOf(status: LabStatus): Path {
  const [first, last] = endsOf(status);
  return { from: first.netns, to: last.netns, address: last.addresses[0] ?? "" };
}

/** In turn, so that what else the machine does hits both. */
async function alternate(
  paths: readonly [Path, Path],
  lab: TestLab,
  effort: Effort,
): Promise<Comparison> {
  const all: readonly [Figures[], Figures[]] = [[], []];
  for (let round = 0; round < effort.runs; round++) {
    for (const which of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      all[which].push(await measure(paths[which], lab, effort));
    }
  }
  const [ours, byHand] = all;
  const ratios = ours.map((mine, round) => ratiosOf(mine, byHand[round] ?? mine));
  return { ours: medians(ours), byHand: medians(byHand), ratios: medians(ratios) };
}

function ratiosOf(ours: Figures, byHand: Figures): Figures {
  return {
    gigabits: ours.gigabits / byHand.gigabits,
    p50: byHand.p50 / ours.p50,
    p99: byHand.p99 / ours.p99,
  };
}

function medians(figures: readonly Figures[]): Figures {
  const of = (field: keyof Figures) => median(figures.map((each) => each[field]));
  return { gigabits: of("gigabits"), p50: of("p50"), p99: of("p99") };
}

async function measure(path: Path, lab: TestLab, effort: Effort): Promise<Figures> {
  const { from, to, address } = path;
  const server = new Background(to, "iperf3", "--server", "--forceflush");
  try {
    await waitFor(() => server.output.includes("listening"), { what: "the iperf3 server" });
    const how = ["--time", `${effort.seconds}`, "--omit", "1", "--json"];
    const report = JSON.parse(await lab.inside(from, "iperf3", "--client", address, ...how)) as {
      readonly end: { readonly sum_received: { readonly bits_per_second: number } };
    };
    const pings = await lab.inside(from, "ping", "-n", "-i0.002", `-c${effort.pings}`, address);
    const times = [...pings.matchAll(/ time=(\S+) ms/g)].map(([, time]) => Number(time));
    const sorted = times.toSorted((a, b) => a - b);
    const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
    const gigabits = report.end.sum_received.bits_per_second / 1e9;
    return { gigabits, p50: at(0.5), p99: at(0.99) };
  } finally {
    await server.stop("SIGKILL");
  }
}
