import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { median, ms, type Row } from "../row.ts";
import { neededPrograms } from "./plugins.ts";
import type { CniFigures } from "./worker.ts";

const worker = fileURLToPath(new URL("worker.ts", import.meta.url));
const figures = new Map<number, CniFigures>();

interface Sizes {
  /** Pods of a small node, and of a big one. */
  readonly few: number;
  readonly many: number;
  readonly runs: number;
  /** Pods that are added at once. */
  readonly together: number;
}

const usual: Sizes = { few: 10, many: 500, runs: 41, together: 100 };

/** Rows of ADD: one process measures a node of each size. */
export function addRows(sizes: Sizes = usual): (() => Promise<Row>)[] {
  const missing = neededPrograms.find((program) => !existsSync(program));
  const row =
    (work: string, mustReach: string, measure: () => Pick<Row, "measured" | "reached">) =>
    async (): Promise<Row> => {
      if (missing !== undefined)
        return { work, measured: `not measured: no ${missing}`, mustReach };
      return { work, mustReach, ...measure() };
    };
  const small = () => figuresOf(sizes.few, sizes);
  const big = () => figuresOf(sizes.many, sizes);
  return [
    row(
      "ADD through the shim, policy gate off, beside ptp with host-local",
      "p50 <= 0.4 x, p95 <= 0.5 x",
      () => gateOff(small()),
    ),
    row("ADD through the shim, policy in the kernel", "<= 1.3 x gate off and by hand", () =>
      withPolicy(small()),
    ),
    row("ADD through the TypeScript plugin, policy gate off", "<= 4 x ptp", () =>
      typescript(small()),
    ),
    row(`${sizes.together} pods at once, all policies in place`, "<= 0.5 x ptp", () =>
      atOnce(small()),
    ),
    row(
      `ADD on a node with ${sizes.many} pods against one with ${sizes.few}`,
      "<= 1.3 x the growth by hand",
      () => growth(small(), big()),
    ),
  ];
}

type Measured = Pick<Row, "measured" | "reached">;

function gateOff({ adds }: CniFigures): Measured {
  const [own, theirs] = [adds.shimGateOff, adds.ptp];
  const ratios = [median(own) / median(theirs), late(own) / late(theirs)] as const;
  const of = (times: readonly number[]) => `p50 ${ms(median(times))}, p95 ${ms(late(times))}`;
  const [half, last] = ratios.map((ratio) => `${ratio.toFixed(2)} x`);
  return {
    measured: `${of(own)}; ptp ${of(theirs)}: ${half}, ${last}`,
    reached: ratios[0] <= 0.4 && ratios[1] <= 0.5,
  };
}

function withPolicy({ adds, byHand }: CniFigures): Measured {
  const floor = median(adds.shimGateOff) + median(byHand);
  const ratio = median(adds.shim) / floor;
  return {
    measured: `p50 ${ms(median(adds.shim))}; gate off and by hand ${ms(floor)}: ${ratio.toFixed(2)} x`,
    reached: ratio <= 1.3,
  };
}

function typescript({ adds }: CniFigures): Measured {
  const ratio = median(adds.typescript) / median(adds.ptp);
  return {
    measured: `p50 ${ms(median(adds.typescript))}: ${ratio.toFixed(1)} x`,
    reached: ratio <= 4,
  };
}

function atOnce({ together }: CniFigures): Measured {
  if (together === undefined) return { measured: "not measured" };
  const ratio = together.shim / together.ptp;
  return {
    measured: `${ms(together.shim)}, ptp ${ms(together.ptp)}: ${ratio.toFixed(2)} x`,
    reached: ratio <= 0.5,
  };
}

function growth(small: CniFigures, big: CniFigures): Measured {
  const grown = median(big.adds.shim) / median(small.adds.shim);
  const floor = median(big.byHand) / median(small.byHand);
  return {
    measured: `p50 ${ms(median(big.adds.shim))}: ${grown.toFixed(2)} x, by hand ${floor.toFixed(2)} x`,
    reached: grown <= 1.3 * floor,
  };
}

/** The time that one of twenty takes longer than. */
function late(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1] ?? Number.NaN;
}

function figuresOf(pods: number, { few, runs, together }: Sizes): CniFigures {
  const known = figures.get(pods);
  if (known !== undefined) return known;
  const { stdout, status } = spawnSync(
    "unshare",
    ["--net", process.execPath, worker, `${pods}`, `${runs}`, `${pods === few ? together : 0}`],
    { stdio: ["ignore", "pipe", "inherit"], maxBuffer: 64 << 20 },
  );
  if (status !== 0) throw new Error(`Cannot measure ${pods} pods: ${worker} ended with ${status}`);
  const found = JSON.parse(stdout.toString()) as CniFigures;
  figures.set(pods, found);
  return found;
}
