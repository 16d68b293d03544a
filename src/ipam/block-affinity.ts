import { calicoApiVersion } from "../api/meta.ts";
import { affinityLabels, affinityName } from "../api/names.ts";
import type { ResourceKey } from "../api/resource-key.ts";
import type { AffinityState, BlockAffinity, BlockAffinitySpec } from "../api/resources/ipam.ts";
import { type Prefix, parsePrefix, prefixFamily } from "../lib/prefix.ts";

/*
 * Who has blocks is a node, by its name, or a virtual host: "virtual:" and a name, as no node is called.
 */

const virtualPrefix = "virtual:";

/** Has the blocks of addresses for Services of the type LoadBalancer (facts 3.11). */
export const loadBalancerHost = "virtual:load-balancer";

export function isVirtual(host: string): boolean {
  return host.startsWith(virtualPrefix);
}

/** `affinity` of a block that a node owns, or a virtual host. */
export function hostAffinity(node: string): string {
  return isVirtual(node) ? node : `host:${node}`;
}

/** What an affinity says of whose it is. */
function specOwner(node: string): { readonly node: string; readonly type: "host" | "virtual" } {
  return isVirtual(node)
    ? { node: node.slice(virtualPrefix.length), type: "virtual" }
    : { node, type: "host" };
}

/** The node of an affinity, or the virtual host. */
export function affinityOwner({ node, type }: BlockAffinitySpec): string {
  return type === "virtual" ? `${virtualPrefix}${node}` : node;
}

/** Node of a block's `affinity`; undefined for a virtual one or none. */
export function affineNode(affinity: string | undefined): string | undefined {
  return affinity?.startsWith("host:") === true ? affinity.slice("host:".length) : undefined;
}

export function affinityKey(node: string, cidr: Prefix): ResourceKey<"BlockAffinity"> {
  return { kind: "BlockAffinity", name: affinityName(specOwner(node).node, cidr) };
}

/** The affinity of a node to a block, with the labels that lists are filtered by (facts 2.3). */
export function newAffinity(node: string, cidr: Prefix, state: AffinityState): BlockAffinity {
  const owner = specOwner(node);
  return {
    apiVersion: calicoApiVersion,
    kind: "BlockAffinity",
    metadata: {
      name: affinityName(owner.node, cidr),
      labels: affinityLabels(owner.node, owner.type, prefixFamily(cidr)),
    },
    spec: { state, ...owner, cidr, deleted: false },
  };
}

/** The block is the node's to route: the state is confirmed, or empty as old data has it. */
export function isConfirmed(spec: BlockAffinitySpec): boolean {
  return spec.state === "confirmed" || spec.state === "";
}

/** Blocks of which `node` has or wants the affinity, in any state. Those of a virtual host are not a node's. */
export function affinitiesOfNode(
  affinities: readonly BlockAffinity[],
  node: string,
): { readonly cidr: Prefix; readonly affinity: BlockAffinity }[] {
  return affinities.flatMap((affinity) => {
    const { spec } = affinity;
    if (affinityOwner(spec) !== node || spec.deleted === true) return [];
    return [{ cidr: parsePrefix(spec.cidr), affinity }];
  });
}

/** An affinity that a release without these labels wrote (appendix D 6). */
export function affinityLabelsMissing(affinity: BlockAffinity): boolean {
  return affinity.metadata.labels?.["projectcalico.org/affinity-type"] === undefined;
}
