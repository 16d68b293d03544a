import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ms, type Row } from "../row.ts";
import type { Measured, PlaneFigures } from "./plane-worker.ts";

const worker = fileURLToPath(new URL("plane-worker.ts", import.meta.url));
const figures = new Map<string, PlaneFigures>();

type Backend = "nft" | "legacy";

/** Rows of one backend: one process in a namespace of its own measures all three. */
export function planeRows(
  backend: Backend,
  { quick }: { readonly quick: boolean },
): (() => Promise<Row>)[] {
  const measure = () => figuresOf(backend, quick ? [1, 5] : [5, 41]);
  return [
    async (): Promise<Row> => {
      const { first } = measure();
      return {
        work: `first apply: 200 pods, 1,000 policies all in use, ${backend}`,
        ...comparison(first, 1.3),
      };
    },
    async (): Promise<Row> => {
      const { change } = measure();
      return {
        work: `one policy changed among 1,000, from datastore event to kernel, ${backend}`,
        ...comparison(change, 1.5),
      };
    },
    async (): Promise<Row> => {
      const { joinMs } = measure();
      return {
        work: `a pod's address joins 100 sets, from datastore event to kernel, ${backend}`,
        measured: `p50 ${ms(joinMs)}`,
        mustReach: "p50 <= 2 ms",
        reached: joinMs <= 2,
      };
    },
  ];
}

function comparison(measured: Measured, limit: number): Omit<Row, "work"> {
  const ratio = measured.ms / measured.floorMs;
  const runs = `${measured.saves} saves, ${measured.restores} restores`;
  return {
    measured: `${ms(measured.ms)}, by hand ${ms(measured.floorMs)}: ${ratio.toFixed(2)} x (${runs})`,
    mustReach: `<= ${limit} x by hand`,
    reached: ratio <= limit,
  };
}

function figuresOf(backend: Backend, runs: readonly number[]): PlaneFigures {
  const known = figures.get(backend);
  if (known !== undefined) return known;
  const { stdout, status } = spawnSync(
    "unshare",
    ["--net", process.execPath, worker, backend, ...runs.map(String)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  if (status !== 0) throw new Error(`Cannot measure ${backend}: ${worker} ended with ${status}`);
  const found = JSON.parse(stdout.toString()) as PlaneFigures;
  figures.set(backend, found);
  return found;
}
