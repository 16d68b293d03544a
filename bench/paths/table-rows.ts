import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ms, type Row } from "../row.ts";
import type { TableFigures } from "./tables-worker.ts";

const worker = fileURLToPath(new URL("tables-worker.ts", import.meta.url));

/** Rows of felix' routes, neighbors and forwarding entries: one process in a namespace of its own. */
export function tableRows({ quick }: { readonly quick: boolean }): (() => Promise<Row>)[] {
  let known: TableFigures | undefined;
  const figures = () => {
    known ??= measure(quick ? 3 : 9);
    return known;
  };
  return [
    async () => routesRow(figures()),
    async () =>
      limitRow(
        "a node's 20 blocks are gone, of 1,020: from event to kernel",
        figures().deathMs,
        20,
      ),
    async () =>
      limitRow(
        "1,000 nodes with VXLAN come: neighbors, forwarding entries, routes",
        figures().vtepsMs,
        1000,
      ),
  ];
}

function routesRow({ routesMs, bareMs }: TableFigures): Row {
  const ratio = bareMs / routesMs;
  return {
    work: "10,000 remote blocks, from what is wanted to the kernel",
    measured: `${ms(routesMs)}, a bare writer ${ms(bareMs)}: ${ratio.toFixed(2)} x its rate`,
    mustReach: ">= 0.7 x the bare writer's rate",
    reached: ratio >= 0.7,
  };
}

function limitRow(work: string, measured: number, limit: number): Row {
  return { work, measured: ms(measured), mustReach: `<= ${limit} ms`, reached: measured <= limit };
}

function measure(runs: number): TableFigures {
  const { stdout, status } = spawnSync("unshare", ["--net", process.execPath, worker, `${runs}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) throw new Error(`Cannot measure: ${worker} ended with ${status}`);
  return JSON.parse(stdout.toString()) as TableFigures;
}
