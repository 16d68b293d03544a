import { isDraining } from "../../api/drain.ts";
import type { Node } from "../../api/resources/node.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { type Prefix, parseInterfaceAddress, prefixHasAddress } from "../../lib/prefix.ts";
import { type OwnBlocks, tunnelAddresses } from "./originate.ts";

/**
 * The blocks that a node still announces: all; while it is drained those that hold a workload of its
 * own or its tunnel address, through which its own packets come back.
 */
export function blocksInUse(
  { originated, confirmed }: OwnBlocks,
  node: Node,
  workloads: Iterable<WorkloadEndpoint>,
): OwnBlocks {
  if (!isDraining(node)) return { originated, confirmed };
  const addresses = [...usedNetworks(node, workloads)].map(
    (network) => parseInterfaceAddress(network).address,
  );
  const isUsed = (block: Prefix) => addresses.some((address) => prefixHasAddress(block, address));
  return { originated: originated.filter(isUsed), confirmed: confirmed.filter(isUsed) };
}

function* usedNetworks(node: Node, workloads: Iterable<WorkloadEndpoint>): Generator<string> {
  yield* tunnelAddresses(node);
  for (const { spec } of workloads) {
    if (spec.node === node.metadata.name) yield* spec.ipNetworks ?? [];
  }
}
