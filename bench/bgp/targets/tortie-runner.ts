import { readFileSync } from "node:fs";
import type { SpeakerPeer } from "../../../src/bgp/config/session.ts";
import type { SpeakerConfig } from "../../../src/bgp/config/speaker-config.ts";
import { FibSync } from "../../../src/bgp/fib/fib-sync.ts";
import { NextHops } from "../../../src/bgp/rib/next-hop.ts";
import { Speaker } from "../../../src/bgp/speaker/speaker.ts";
import { SpeakerHost } from "../../../src/bgp/speaker/speaker-host.ts";
import type { Kernel, KernelRoute } from "../../../src/kernel/kernel.ts";
import { mainTable } from "../../../src/kernel/ownership.ts";
import type { Asn } from "../../../src/lib/asn.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { type IpAddr, ipBits } from "../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { startLoopReport } from "../../../src/lib/loop-report.ts";
import type { Prefix } from "../../../src/lib/prefix.ts";

/**
 * The speaker alone, until `tortie bgp --config` is there. The kernel is one that takes nothing, and
 * one route makes every next hop reachable.
 */
export interface RunnerConfig {
  readonly address: IpAddr;
  readonly asn: Asn;
  readonly holdSeconds: number;
  readonly clients: readonly IpAddr[];
}

const { address, asn, holdSeconds, clients } = JSON.parse(
  readFileSync(process.argv[2] ?? "", "utf8"),
) as RunnerConfig;
const routerId = Number(ipBits(address));
const everything = "0.0.0.0/0" as Prefix;
const link: KernelRoute = {
  table: mainTable,
  destination: "10.77.0.0/16" as Prefix,
  priority: 0,
  kind: "unicast",
  scope: "link",
  protocol: 2,
  ifindex: 1,
};

startLoopReport(process.env);
const abort = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => abort.abort());
const log = createLogger({ name: "bgp", level: "info" });
const table = { list: async () => [], apply: async () => [] };
const kernel = { routes: table, links: table } as unknown as Pick<Kernel, "routes" | "links">;
const speaker = new Speaker();
const fib = new FibSync({ kernel, clock: systemClock, log, mayKeep: () => false });
const { signal } = abort;
const deps = { fib, clock: systemClock, log, signal, isRestart: () => false };
const host = new SpeakerHost(speaker, deps);
host.post({
  kind: "nextHops",
  nextHops: new NextHops({ routes: [link], ownAddresses: [address] }),
});
host.post({ kind: "configured", config: speakerConfig() });
await new Promise((resolve) => signal.addEventListener("abort", resolve));
await host.ended();
process.exit(0);

function speakerConfig(): SpeakerConfig {
  return {
    nodeName: "bench",
    asn,
    routerId,
    listenPort: 179,
    listenAddresses: [address],
    peers: clients.map(peerOf),
    blocked: [],
    originated: [],
    confirmedBlocks: [],
    pools: [],
    // What is a service is not programmed into the kernel.
    serviceRanges: [everything],
    reflectedServices: [],
    advertisements: {},
    normalPriority: { 4: 1024, 6: 1024 },
    programsNoEncap: false,
    clusterId: routerId,
    install: false,
    problems: [],
  };
}

function peerOf(client: IpAddr): SpeakerPeer {
  return {
    type: "Static",
    policy: { nextHopMode: "Auto", allowedLocalAs: 0, exportScope: "all" },
    config: {
      name: `Static_${client.replaceAll(".", "_")}`,
      address: client,
      port: 179,
      remoteAs: asn,
      localAs: asn,
      localRouterId: routerId,
      passive: true,
      holdSeconds,
      connectRetrySeconds: 5,
      families: [4],
      gracefulRestartSeconds: 120,
      reflectorClient: { clusterId: routerId },
    },
  };
}
