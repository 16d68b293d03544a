import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calicoApiVersion } from "../api/meta.ts";
import type { BGPPeer } from "../api/resources/bgp.ts";
import type { Datastore } from "../datastore/datastore.ts";
import { startDaemon } from "./daemons.ts";
import type { LabNode, LabPlan, LabSegment } from "./lab-plan.ts";
import type { LabPaths } from "./lab-state.ts";

/** AS of the router; the nodes are in Calico's default AS. */
const routerAs = 64999;
const nodeAs = 64512;

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
  for (const segment of plan.segments) await datastore.create<"BGPPeer">(rackPeer(segment));
}

async function labelRack(node: LabNode, datastore: Datastore): Promise<void> {
  const resource = await datastore.get({ kind: "Node", name: node.name });
  const labels = { ...resource.metadata.labels, rack: String(node.segment) };
  await datastore.update<"Node">({ ...resource, metadata: { ...resource.metadata, labels } });
}

function rackPeer({ number, routerAddress }: LabSegment): BGPPeer {
  return {
    apiVersion: calicoApiVersion,
    kind: "BGPPeer",
    metadata: { name: `rack${number}` },
    spec: { nodeSelector: `rack == '${number}'`, peerIP: routerAddress, asNumber: routerAs },
  };
}

/** Facts 5.6: a node's eBGP peer learns all blocks from every node; the shortest path is the owner's. */
function birdConfig(plan: LabPlan): string {
  const [first] = plan.segments;
  const peers = plan.nodes.map(
    (node) => `protocol bgp ${node.name} {
  local ${plan.segments[node.segment - 1]?.routerAddress} as ${routerAs};
  neighbor ${node.address} as ${nodeAs};
  ipv4 { import all; export none; };
}`,
  );
  return `log stderr all;
router id ${first?.routerAddress};
protocol device {}
protocol direct { ipv4; }
protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }
${peers.join("\n")}
`;
}
