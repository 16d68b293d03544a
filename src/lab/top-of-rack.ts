import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calicoApiVersion } from "../api/meta.ts";
import type { BGPPeer } from "../api/resources/bgp.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { ipFamily } from "../lib/ip-addr.ts";
import { startDaemon } from "./daemons.ts";
import type { LabNode, LabPlan, LabSegment } from "./lab-plan.ts";
import type { LabPaths } from "./lab-state.ts";

/** AS of the router; the nodes are in Calico's default AS. */
const routerAs = 64999;
const nodeAs = 64512;
/** Also of a router without an IPv4 address. */
const routerId = "192.168.0.1";

/**
 * Runs BIRD on the router as a top-of-rack router that peers with every node, and tells the nodes of
 * it: a BGPPeer a rack. The router then has the pod routes, and no tunnel is needed.
 */
export async function startTopOfRack(
  plan: LabPlan,
  paths: LabPaths,
  datastore: Datastore,
): Promise<void> {
  mkdirSync(paths.birdFolder, { recursive: true, mode: 0o700 });
  const config = join(paths.birdFolder, "bird.conf");
  writeFileSync(config, birdConfig(plan));
  startDaemon({
    program: "bird",
    args: [
      "-f",
      "-c",
      config,
      "-s",
      join(paths.birdFolder, "bird.ctl"),
      "-P",
      join(paths.birdFolder, "bird.pid"),
    ],
    env: {},
    netns: plan.router,
    log: join(paths.birdFolder, "bird.log"),
  });
  for (const node of plan.nodes) await labelRack(node, datastore);
  for (const peer of plan.segments.flatMap(rackPeers)) await datastore.create<"BGPPeer">(peer);
}

async function labelRack(node: LabNode, datastore: Datastore): Promise<void> {
  const resource = await datastore.get({ kind: "Node", name: node.name });
  const labels = { ...resource.metadata.labels, rack: String(node.segment) };
  await datastore.update<"Node">({ ...resource, metadata: { ...resource.metadata, labels } });
}

/** A session for each family: routes of a family go over its own (facts 5.15). */
function rackPeers({ number, routerAddresses }: LabSegment): BGPPeer[] {
  return routerAddresses.map((peerIP) => ({
    apiVersion: calicoApiVersion,
    kind: "BGPPeer",
    metadata: { name: `rack${number}-ipv${ipFamily(peerIP)}` },
    spec: { nodeSelector: `rack == '${number}'`, peerIP, asNumber: routerAs },
  }));
}

/** Facts 5.6: a node's eBGP peer learns all blocks from every node; the shortest path is the owner's. */
function birdConfig(plan: LabPlan): string {
  const channels = plan.families.map((family) => `ipv${family}`);
  return `log stderr all;
router id ${routerId};
protocol device {}
protocol direct { ${channels.map((channel) => `${channel};`).join(" ")} }
${channels.map(kernelProtocol).join("\n")}
${plan.nodes.flatMap((node) => nodeProtocols(plan, node)).join("\n")}
`;
}

function kernelProtocol(channel: string): string {
  return `protocol kernel { ${channel} { import none; export where source = RTS_BGP; }; }`;
}

function nodeProtocols(plan: LabPlan, { name, segment, addresses }: LabNode): string[] {
  const { routerAddresses = [] } = plan.segments[segment - 1] ?? {};
  return addresses.map((address, index) => {
    const channel = `ipv${ipFamily(address)}`;
    return `protocol bgp ${name}_${channel} {
  local ${routerAddresses[index]} as ${routerAs};
  neighbor ${address} as ${nodeAs};
  ${channel} { import all; export none; };
}`;
  });
}
