import { speakerMetrics } from "../../src/bgp/speaker/metrics.ts";
import { controllersMetrics } from "../../src/controllers/controllers-metrics.ts";
import { IpamMetrics } from "../../src/controllers/ipam-metrics.ts";
import { ReconcileCounts } from "../../src/controllers/reconcile-counts.ts";
import { FelixCounters } from "../../src/felix/metrics/felix-counters.ts";
import { felixMetrics } from "../../src/felix/metrics/felix-metrics.ts";
import { wireguardMetrics } from "../../src/felix/metrics/wireguard-metrics.ts";
import type { Metric } from "../../src/lib/metrics.ts";
import { ProcessMetrics } from "../../src/lib/process-metrics.ts";
import { pathMetrics } from "../../src/paths/metrics.ts";
import { FakeRunning, secretNeighbor } from "../unit/bgp/control/running.ts";

/** Every metric that a program exports, by program; those of the process itself apart. */
export function exportedMetrics(): Readonly<
  Record<"felix" | "bgp" | "controllers" | "process", readonly Metric[]>
> {
  const cluster = {
    host_endpoints: 0,
    hosts: 0,
    policies: 0,
    profiles: 0,
    tiers: 0,
    workload_endpoints: 0,
  };
  const local = { endpoints: 0, policies: 0 };
  const sizes = { local, cluster, tables: [], sets: [], routes: [], indexes: [] };
  const report = { peers: [], findings: [], skipped: [], seconds: 0 };
  const ipam = new IpamMetrics();
  ipam.observe({ allocations: [], blocks: [], pools: [] }, []);
  const reflectors = { phase: "off", reason: "", reflectors: [], uncovered: 0 } as const;
  const state = { isLeading: true, reflectors };
  const own = new ProcessMetrics();
  try {
    return {
      felix: [
        ...felixMetrics("node1", new FelixCounters(), sizes),
        ...wireguardMetrics("node1", []),
        ...pathMetrics(report as unknown as Parameters<typeof pathMetrics>[0]),
      ],
      bgp: speakerMetrics(new FakeRunning([secretNeighbor])),
      controllers: controllersMetrics({ state, counts: new ReconcileCounts(), ipam }),
      process: own.collect(),
    };
  } finally {
    own.close();
  }
}
