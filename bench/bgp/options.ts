import { parseArgs } from "node:util";
import { type Row, rows } from "./rows.ts";

export interface BenchOptions {
  readonly runs: number;
  readonly rows: readonly Row[];
  /** Names in small letters; empty: all. */
  readonly targets: readonly string[];
  readonly tablePrefixes: number;
  /** Of a row. */
  readonly timeoutMs: number;
  /** How long each start of a target may wait for an idle machine. */
  readonly waitMs: number;
  /** Where tortie's CPU profiles go. */
  readonly profileFolder?: string;
  /** Root of another checkout, whose tortie is measured. */
  readonly checkout?: string;
  readonly output: "table" | "json";
  readonly writesDocument: boolean;
}

export const usage: string = `Usage: npm run bench:bgp -- [OPTION...]

  --runs N          runs of each row, the median counts (default 3)
  --rows A,B        only these rows: ${rows.map(({ id }) => id).join(", ")}
  --targets A,B     only these: floor, tortie, bird, frr, frr-10, frr-0, openbgpd, gobgp
  --quick           one run, a table of 100,000 prefixes, rows of at most 10 s
  --prefixes N      size of the full table (default 1000000)
  --timeout S       a row that takes longer has no value (default 120)
  --wait S          before each start wait up to S seconds for an idle machine (default 0)
  --profile DIR     CPU profiles of tortie: ROW.cpuprofile, and ROW.txt with its functions by time
  --checkout DIR    tortie of another checkout, to compare
  -o json           JSON instead of tables
  --no-doc          do not write docs/bench/bgp.md, which a full run of all rows does
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
      timeout: { type: "string" },
      wait: { type: "string", default: "0" },
      profile: { type: "string" },
      checkout: { type: "string" },
      output: { type: "string", short: "o", default: "table" },
      "no-doc": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return "help";
  const { quick, profile, checkout, output } = values;
  if (output !== "table" && output !== "json") {
    throw new Error(`Cannot print "${output}": -o takes table or json`);
  }
  const isPart = [values.rows, values.targets, values.prefixes, profile, checkout].some(
    (value) => value !== undefined,
  );
  return {
    runs: positive("--runs", values.runs ?? (quick ? "1" : "3")),
    rows: chosenRows(values.rows),
    targets: values.targets?.toLowerCase().split(",") ?? [],
    tablePrefixes: positive("--prefixes", values.prefixes ?? (quick ? "100000" : "1000000")),
    timeoutMs: positive("--timeout", values.timeout ?? (quick ? "10" : "120")) * 1000,
    waitMs: whole("--wait", values.wait, 0) * 1000,
    ...(profile === undefined ? {} : { profileFolder: profile }),
    ...(checkout === undefined ? {} : { checkout }),
    output,
    writesDocument: !isPart && !quick && !values["no-doc"],
  };
}

function chosenRows(text: string | undefined): readonly Row[] {
  if (text === undefined) return rows;
  return text.split(",").map((id) => {
    const row = rows.find((each) => each.id === id);
    if (row !== undefined) return row;
    throw new Error(`Cannot run row "${id}": there are ${rows.map((each) => each.id).join(", ")}`);
  });
}

function positive(name: string, text: string): number {
  return whole(name, text, 1);
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least) return value;
  throw new Error(`Cannot read ${name} "${text}": not a whole number from ${least}`);
}
