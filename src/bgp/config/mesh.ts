import type { BGPConfigurationSpec } from "../../api/resources/bgp.ts";
import { durationSeconds } from "../../lib/duration.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { BgpNode } from "./bgp-nodes.ts";
import type { Neighbor } from "./session.ts";

const families: readonly IpFamily[] = [4, 6];

/** The node-to-node mesh (facts 5.4): every pair of nodes that are no route reflectors. */
export function meshNeighbors(
  me: BgpNode,
  nodes: readonly BgpNode[],
  configuration: BGPConfigurationSpec,
): Neighbor[] {
  if (configuration.nodeToNodeMeshEnabled === false || me.clusterId !== undefined) return [];
  const restart = configuration.nodeMeshMaxRestartTime;
  const password = configuration.nodeMeshPassword?.secretKeyRef;
  const common = {
    type: "NodeMesh" as const,
    origin: "mesh",
    calicoNode: true,
    fromNodeAddress: true,
    ...(restart === undefined ? {} : { restartSeconds: durationSeconds(restart) }),
    ...(password === undefined ? {} : { password }),
  };
  return nodes
    .filter(({ name, clusterId }) => name !== me.name && clusterId === undefined)
    .flatMap((node) =>
      families.flatMap((family) => {
        const address = node.addresses[family];
        if (address === undefined || me.addresses[family] === undefined) return [];
        return [{ ...common, address, port: node.listenPort, asn: node.asn }];
      }),
    );
}
