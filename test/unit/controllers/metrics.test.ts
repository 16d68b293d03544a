import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { controllersMetrics } from "../../../src/controllers/controllers-metrics.ts";
import { IpamMetrics } from "../../../src/controllers/ipam-metrics.ts";
import { ReconcileCounts } from "../../../src/controllers/reconcile-counts.ts";
import { serveControllersMetrics } from "../../../src/controllers/serve-controllers-metrics.ts";
import type { ControllersState } from "../../../src/controllers/status-file.ts";
import type { Allocation } from "../../../src/ipam/audit.ts";
import type { StoredBlock } from "../../../src/ipam/ipam-records.ts";
import type { Pool } from "../../../src/ipam/pools.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { metricsText } from "../../../src/lib/metrics.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { waitFor } from "../../support/wait-for.ts";

const allocation = (more: Partial<Allocation>): Allocation =>
  ({ attributes: { node: "n1" }, pool: "v4", ...more }) as Allocation;
const block = (cidr: string, affinity?: string) =>
  ({ cidr: parsePrefix(cidr), spec: { affinity } }) as unknown as StoredBlock;
const pools = [{ name: "v4", cidr: parsePrefix("10.0.0.0/24") }] as unknown as readonly Pool[];

/** Lines of values, without the comments. */
function values(metrics: Parameters<typeof metricsText>[0]): string[] {
  const lines = metricsText(metrics).split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#"));
}

test("addresses and blocks are counted by pool and node, by Calico's names", () => {
  const ipam = new IpamMetrics();
  const leaked = allocation({ attributes: { node: "n2" }, borrowedFrom: "n1" });
  const resting = allocation({ coolingSince: "2026-01-01T00:00:00Z" });
  const { pool: _none, ...outside } = allocation({ attributes: {} });
  ipam.observe(
    {
      pools,
      allocations: [allocation({}), allocation({}), leaked, resting, outside],
      blocks: [block("10.0.0.0/26", "host:n1"), block("10.0.0.64/26"), block("10.1.0.0/26")],
    },
    [leaked],
  );
  ipam.reclaimed([leaked]);
  ipam.reclaimed([leaked]);
  assert.deepEqual(values(ipam.collect()), [
    'ipam_allocations_in_use{ippool="v4",node="n1"} 2',
    'ipam_allocations_in_use{ippool="v4",node="n2"} 1',
    'ipam_allocations_in_use{ippool="no_ippool",node="unknown_node"} 1',
    'ipam_allocations_borrowed{ippool="v4",node="n2"} 1',
    'ipam_allocations_gc_candidates{ippool="v4",node="n2"} 1',
    'ipam_blocks{ippool="v4",node="n1"} 1',
    'ipam_blocks{ippool="v4",node="no_affinity"} 1',
    'ipam_blocks{ippool="no_ippool",node="no_affinity"} 1',
    'ipam_ippool_size{ippool="v4"} 256',
    'ipam_allocations_per_node{node="n1"} 2',
    'ipam_allocations_per_node{node="n2"} 1',
    'ipam_allocations_per_node{node="unknown_node"} 1',
    'ipam_allocations_borrowed_per_node{node="n2"} 1',
    'ipam_blocks_per_node{node="n1"} 1',
    'ipam_blocks_per_node{node="no_affinity"} 2',
    'ipam_allocations_gc_reclamations{ippool="v4",node="n2"} 2',
  ]);
});

test("who leads tells of the controllers' looks and of reflectors, who does not only that", async () => {
  const counts = new ReconcileCounts();
  await counts.counted("pool", () => Promise.resolve())();
  await assert.rejects(counts.counted("pool", () => Promise.reject(new Error("no")))());
  const reflectors = {
    phase: "moving",
    reason: "",
    reflectors: ["n1", "n2"],
    uncovered: 1,
  } as const;
  const told = (state: ControllersState) =>
    values(controllersMetrics({ state, counts, ipam: new IpamMetrics() }));
  const lines = told({ isLeading: true, reflectors });
  for (const line of [
    "tortie_controllers_leader 1",
    'tortie_controllers_reconciles_total{controller="pool"} 2',
    'tortie_controllers_reconcile_errors_total{controller="pool"} 1',
    'tortie_route_reflectors_phase{phase="moving"} 1',
    'tortie_route_reflectors_phase{phase="off"} 0',
    "tortie_route_reflectors 2",
    "tortie_route_reflectors_uncovered_nodes 1",
  ]) {
    assert.ok(lines.includes(line), line);
  }
  assert.deepEqual(told({ isLeading: false }), [
    "tortie_controllers_leader 0",
    'tortie_controllers_reconciles_total{controller="pool"} 2',
    'tortie_controllers_reconcile_errors_total{controller="pool"} 1',
  ]);
});

test("metrics are where KubeControllersConfiguration says, and move with it", async () => {
  const [first, second] = [await freePort(), await freePort()];
  const key = { kind: "KubeControllersConfiguration", name: "default" } as const;
  const apiVersion = "projectcalico.org/v3" as const;
  const datastore = new MemoryDatastore();
  const clock = new FakeClock();
  const log = createLogger({ name: "test", level: "silent" });
  const stop = new AbortController();
  const collect = () =>
    controllersMetrics({
      ...{ state: { isLeading: true }, counts: new ReconcileCounts() },
      ipam: new IpamMetrics(),
    });
  const served = serveControllersMetrics(collect, first, { datastore, clock, log })(stop.signal);
  const answer = async (port: number) => {
    await clock.advanceSlowly(10_000, 5_000);
    const response = await fetch(`http://127.0.0.1:${port}/metrics`).catch(() => undefined);
    return (await response?.text())?.includes("tortie_controllers_leader 1") === true;
  };
  await waitFor(() => answer(first), { what: "the default port" });
  const spec = { prometheusMetricsPort: second };
  await datastore.create<"KubeControllersConfiguration">({
    ...{ apiVersion, kind: "KubeControllersConfiguration", metadata: { name: "default" }, spec },
  });
  await waitFor(() => answer(second), { what: "the configured port" });
  const present = await datastore.get(key);
  await datastore.update<"KubeControllersConfiguration">({
    ...present,
    spec: { prometheusMetricsPort: 0 },
  });
  await waitFor(async () => !(await answer(second)), { what: "no port" });
  assert.equal(await answer(first), false);
  stop.abort();
  await served;
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
