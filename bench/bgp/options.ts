import { parseArgs } from "node:util";
import { type Row, rows } from "./rows.ts";

export interface BenchOptions {
  readonly runs: number;
  readonly rows: readonly Row[];
  /** Names in small letters; empty: all. */
  readonly targets: readonly string[];
  readonly tablePrefixes: number;
  readonly timeoutMs: number;
  /** Arguments of tortie's Node, for profiles. */
  readonly nodeArgs: readonly string[];
  /** The document is written only by a run of everything. */
  readonly writesDocument: boolean;
}

export const usage: string = `Usage: npm run bench:bgp -- [OPTION...]

  --runs N          runs of each row, the median counts (default 3)
  --rows A,B        only these rows: ${rows.map(({ id }) => id).join(", ")}
  --targets A,B     only these: floor, tortie, bird, frr, frr-10, frr-0, gobgp, openbgpd
  --quick           one run, a table of 100,000 prefixes
  --prefixes N      size of the full table (default 1000000)
  --timeout S       a row that takes longer has no value (default 120)
  --cpu-prof DIR    tortie writes a CPU profile there when it ends
  --node-args "A"   further arguments of tortie's Node, such as --heap-prof
  --no-doc          do not write docs/bench/bgp.md
`;

/** @throws {Error} for an option that is not there or cannot be read. */
export function readOptions(argv: readonly string[]): BenchOptions | "help" {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      runs: { type: "string" },
      rows: { type: "string" },
      targets: { type: "string" },
      quick: { type: "boolean", default: false },
      prefixes: { type: "string" },
      timeout: { type: "string", default: "120" },
      "cpu-prof": { type: "string" },
      "node-args": { type: "string", default: "" },
      "no-doc": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const profile = values["cpu-prof"];
  const everything =
    values.rows === undefined && values.targets === undefined && values.prefixes === undefined;
  return {
    runs: positive("--runs", values.runs ?? (values.quick ? "1" : "3")),
    rows: chosenRows(values.rows),
    targets: values.targets?.toLowerCase().split(",") ?? [],
    tablePrefixes: positive("--prefixes", values.prefixes ?? (values.quick ? "100000" : "1000000")),
    timeoutMs: positive("--timeout", values.timeout) * 1000,
    nodeArgs: [
      ...(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]),
      ...values["node-args"].split(" ").filter((word) => word !== ""),
    ],
    writesDocument: everything && !values.quick && !values["no-doc"],
  };
}

function chosenRows(text: string | undefined): readonly Row[] {
  if (text === undefined) return rows;
  return text.split(",").map((id) => {
    const row = rows.find((each) => each.id === id);
    if (row === undefined) throw new Error(`Cannot run row "${id}": there is no such row`);
    return row;
  });
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`Cannot read ${name} "${text}": not a whole number above 0`);
}
