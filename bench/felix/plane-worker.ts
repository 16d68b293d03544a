import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyOf } from "../../src/api/resource-key.ts";
import { detectBackend } from "../../src/kernel/iptables/backend.ts";
import { median, timed } from "../row.ts";
import { BenchNode, flushAll, flushTables, makeLinks } from "./bench-node.ts";
import { clusterOf, policies, policyOf, remotePod, teams } from "./cluster.ts";
import { byHand, RecordedExec } from "./recorded-exec.ts";
import { Shell } from "./shell.ts";

/** Measures one backend in the network namespace that it was started in. Prints PlaneFigures as JSON. */

/** Medians in milliseconds. */
export interface PlaneFigures {
  readonly first: Measured;
  readonly change: Measured;
  readonly joinMs: number;
}

export interface Measured {
  readonly ms: number;
  readonly floorMs: number;
  /** How many saves and restores the last one took. */
  readonly saves: number;
  readonly restores: number;
}

const [kind = "", firstRuns = "", changeRuns = ""] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "tortie-bench-"));
const exec = new RecordedExec();
const shell = new Shell();
try {
  const backend = await detectBackend(exec, kind === "nft" ? "nft" : "legacy");
  const newNode = () => new BenchNode(clusterOf(), { exec, backend, folder });
  makeLinks();
  const first = await measured(Number(firstRuns), async () => {
    flushAll(backend);
    exec.runs = [];
    const node = newNode();
    const ms = await node.firstApply();
    const runs = exec.runs;
    await node.stop();
    flushTables(backend);
    const floorMs = await timed(() => shell.run(byHand(runs, folder)));
    return { ms, floorMs, ...counts(runs) };
  });
  const node = newNode();
  await node.firstApply();
  const change = await measured(Number(changeRuns), async (run) => {
    await exec.idle();
    exec.runs = [];
    const startedAt = performance.now();
    await node.applied(() => update(node, policyOf((run * 7) % policies, 1000 + run)));
    const runs = exec.runs.filter(({ stdin, program }) => stdin !== "" || program.endsWith("save"));
    const ms = Math.max(...runs.map(({ endedAt }) => endedAt)) - startedAt;
    const counted = runs.filter(({ stdin }) => kind === "legacy" || stdin !== "");
    await exec.idle();
    const floorMs = await timed(() => shell.run(byHand(counted, folder)));
    return { ms, floorMs, ...counts(runs) };
  });
  const joins: number[] = [];
  for (let run = 0; run < Number(changeRuns); run++) {
    await exec.idle();
    const team = run % 2 === 0 ? "all" : "none";
    joins.push(await node.applied(() => update(node, remotePod(teams, team))));
  }
  await node.stop();
  const figures: PlaneFigures = { first, change, joinMs: median(joins) };
  console.log(JSON.stringify(figures));
} finally {
  shell.close();
  exec.close();
  rmSync(folder, { recursive: true });
}

async function measured(
  count: number,
  work: (run: number) => Promise<Measured>,
): Promise<Measured> {
  const all: Measured[] = [];
  for (let run = 0; run < count; run++) all.push(await work(run));
  return {
    ms: median(all.map(({ ms }) => ms)),
    floorMs: median(all.map(({ floorMs }) => floorMs)),
    saves: all.at(-1)?.saves ?? 0,
    restores: all.at(-1)?.restores ?? 0,
  };
}

async function update(node: BenchNode, resource: Parameters<typeof keyOf>[0]): Promise<void> {
  const { datastore } = node;
  const { metadata } = await datastore.get(keyOf(resource));
  await datastore.update({
    ...resource,
    metadata: { ...resource.metadata, ...metadata, labels: resource.metadata.labels },
  } as never);
}

function counts(runs: readonly { readonly program: string }[]) {
  const saves = runs.filter(({ program }) => program.endsWith("save")).length;
  return { saves, restores: runs.length - saves };
}
