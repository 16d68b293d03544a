import { calicoApiVersion } from "../api/meta.ts";
import { affinityLabels, affinityName } from "../api/names.ts";
import type { ResourceKey } from "../api/resource-key.ts";
import type { AffinityState, BlockAffinity, BlockAffinitySpec } from "../api/resources/ipam.ts";
import { type Prefix, parsePrefix, prefixFamily } from "../lib/prefix.ts";

/** `affinity` of a block that a node owns. */
export function hostAffinity(node: string): string {
  return `host:${node}`;
}

/** Node of a block's `affinity`; undefined for a virtual one or none. */
export function affineNode(affinity: string | undefined): string | undefined {
  return affinity?.startsWith("host:") === true ? affinity.slice("host:".length) : undefined;
}

export function affinityKey(node: string, cidr: Prefix): ResourceKey<"BlockAffinity"> {
  return { kind: "BlockAffinity", name: affinityName(node, cidr) };
}

/** The affinity of a node to a block, with the labels that lists are filtered by (facts 2.3). */
export function newAffinity(node: string, cidr: Prefix, state: AffinityState): BlockAffinity {
  return {
    apiVersion: calicoApiVersion,
    kind: "BlockAffinity",
    metadata: {
      name: affinityName(node, cidr),
      labels: affinityLabels(node, "host", prefixFamily(cidr)),
    },
    spec: { state, node, type: "host", cidr, deleted: false },
  };
}

/** The block is the node's to route: the state is confirmed, or empty as old data has it. */
export function isConfirmed(spec: BlockAffinitySpec): boolean {
  return spec.state === "confirmed" || spec.state === "";
}

/** Blocks of which `node` has or wants the affinity, in any state. Virtual ones are not hosts'. */
export function affinitiesOfNode(
  affinities: readonly BlockAffinity[],
  node: string,
): { readonly cidr: Prefix; readonly affinity: BlockAffinity }[] {
  return affinities.flatMap((affinity) => {
    const { spec } = affinity;
    if (spec.node !== node || (spec.type ?? "host") !== "host" || spec.deleted === true) return [];
    return [{ cidr: parsePrefix(spec.cidr), affinity }];
  });
}

/** An affinity that a release without these labels wrote (appendix D 6). */
export function affinityLabelsMissing(affinity: BlockAffinity): boolean {
  return affinity.metadata.labels?.["projectcalico.org/affinity-type"] === undefined;
}
