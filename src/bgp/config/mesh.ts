import type { BGPConfigurationSpec } from "../../api/resources/bgp.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import type { BgpNode } from "./bgp-nodes.ts";
import { durationSeconds } from "./duration.ts";
import { passwordUnsupported } from "./peers.ts";
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
  const common = {
    type: "NodeMesh" as const,
    calicoNode: true,
    fromNodeAddress: true,
    ...(restart === undefined ? {} : { restartSeconds: durationSeconds(restart) }),
    ...(configuration.nodeMeshPassword?.secretKeyRef === undefined
      ? {}
      : { blocked: passwordUnsupported }),
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
