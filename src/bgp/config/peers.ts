import type { BGPPeer, BGPPeerSpec } from "../../api/resources/bgp.ts";
import type { WorkloadEndpoint } from "../../api/resources/workload-endpoint.ts";
import { type Asn, parseAsn } from "../../lib/asn.ts";
import { compareText } from "../../lib/collections.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import type { BgpNode } from "./bgp-nodes.ts";
import type { NodeIndex } from "./node-index.ts";
import { commonFields, isGiven, isGivenAs, parseEndpoint } from "./peer-fields.ts";
import type { Neighbor } from "./session.ts";
import { workloadRemotes } from "./workload-peers.ts";

/** What BGPPeers are resolved against. */
export interface PeerContext {
  readonly me: BgpNode;
  readonly nodes: NodeIndex;
  readonly globalAs: Asn;
  /** Global listen port. */
  readonly globalPort: number;
  /** Endpoints of this node. */
  readonly workloads: readonly WorkloadEndpoint[];
}

/** What differs between the neighbors of one BGPPeer. */
export type Remote = Pick<
  Neighbor,
  "address" | "zone" | "port" | "asn" | "calicoNode" | "clusterId"
>;

const families: readonly IpFamily[] = [4, 6];

/**
 * Neighbors of this node that BGPPeers name (facts 5.16): the global ones, then the node-specific,
 * then those of the other direction, then workloads. The first of an address and port wins. A BGPPeer
 * that cannot be read gives none, and `problems` says why.
 */
export function peerNeighbors(
  peers: Iterable<BGPPeer>,
  context: PeerContext,
  problems: string[],
): Neighbor[] {
  const ordered = [...peers].sort((a, b) => compareText(a.metadata.name, b.metadata.name));
  const found = new Map<string, Neighbor>();
  for (const { type, remotes } of passes) {
    for (const peer of ordered) {
      try {
        const common = commonFields(peer);
        for (const remote of remotes(peer.spec, context)) {
          const key = `${remote.address} ${remote.zone ?? ""} ${remote.port}`;
          if (!found.has(key)) found.set(key, { ...common, ...remote, type });
        }
      } catch (error) {
        const problem = `Cannot use BGPPeer "${peer.metadata.name}": ${errorMessage(error)}`;
        if (!problems.includes(problem)) problems.push(problem);
      }
    }
  }
  return [...found.values()];
}

interface Pass {
  readonly type: Neighbor["type"];
  /** @throws {SyntaxError} when the BGPPeer cannot be read. */
  readonly remotes: (spec: BGPPeerSpec, context: PeerContext) => readonly Remote[];
}

const passes: readonly Pass[] = [
  {
    type: "GlobalPeer",
    remotes: (spec, context) =>
      isGlobal(spec) && !isOfWorkloads(spec) ? forward(spec, context) : [],
  },
  {
    type: "NodePeer",
    remotes: (spec, context) =>
      !isGlobal(spec) && !isOfWorkloads(spec) && isLocal(spec, context.me, context)
        ? forward(spec, context)
        : [],
  },
  {
    type: "NodePeer",
    remotes: (spec, context) =>
      spec.reversePeering === "Manual" || isOfWorkloads(spec) ? [] : reverse(spec, context),
  },
  {
    type: "LocalWorkload",
    remotes: (spec, context) =>
      isOfWorkloads(spec) && isLocal(spec, context.me, context)
        ? workloadRemotes(spec, context.workloads)
        : [],
  },
];

function forward(spec: BGPPeerSpec, context: PeerContext): readonly Remote[] {
  const { me, nodes } = context;
  const remotes = isGiven(spec.peerSelector)
    ? nodeRemotes(nodes.matching(spec.peerSelector), families, me)
    : [addressRemote(spec, context)];
  // Differs from facts 5.16 step 6: at another port of our address there may be a route reflector.
  return remotes.filter(
    ({ address, port }) => address !== me.addresses[ipFamily(address)] || port !== me.listenPort,
  );
}

/** The other direction: this node is what the BGPPeer points at (facts 5.16 step 5). */
function reverse(spec: BGPPeerSpec, context: PeerContext): readonly Remote[] {
  const { me, nodes } = context;
  const towards = pointedFamilies(spec, context);
  if (towards.length === 0) return [];
  const remotes = isGiven(spec.nodeSelector)
    ? nodes.matching(spec.nodeSelector)
    : nodes.nodes.filter((node) => isLocal(spec, node, context));
  return nodeRemotes(
    remotes.filter(({ name }) => name !== me.name),
    towards,
    me,
  );
}

/** Families in which the BGPPeer points at this node. */
function pointedFamilies(spec: BGPPeerSpec, context: PeerContext): readonly IpFamily[] {
  const { me, nodes } = context;
  if (isGiven(spec.peerSelector)) {
    return nodes.matches(spec.peerSelector, me.labels) ? families : [];
  }
  const { address, port, asn } = addressRemote(spec, context);
  const family = ipFamily(address);
  const isMe = me.addresses[family] === address && me.asn === asn && me.listenPort === port;
  return isMe ? [family] : [];
}

/** In each family that both sides have (facts 5.3, peerSelector). */
function nodeRemotes(
  nodes: readonly BgpNode[],
  wanted: readonly IpFamily[],
  me: BgpNode,
): Remote[] {
  const common = wanted.filter((family) => me.addresses[family] !== undefined);
  return nodes.flatMap(({ addresses, asn, listenPort, clusterId }) =>
    common.flatMap((family) => {
      const address = addresses[family];
      if (address === undefined) return [];
      const remote = { address, port: listenPort, asn, calicoNode: true };
      return [clusterId === undefined ? remote : { ...remote, clusterId }];
    }),
  );
}

function addressRemote(spec: BGPPeerSpec, context: PeerContext): Remote {
  if (!isGiven(spec.peerIP)) {
    throw new SyntaxError("it has none of peerIP, peerSelector and localWorkloadSelector");
  }
  const { address, zone, port } = parseEndpoint(spec.peerIP);
  const asn = isGivenAs(spec.asNumber) ? parseAsn(spec.asNumber) : context.globalAs;
  const owners = zone === undefined ? context.nodes.withAddress(address) : [];
  const owner = owners.find((node) => node.asn === asn);
  const clusterId = owner?.clusterId;
  return {
    address,
    asn,
    port: port ?? owner?.listenPort ?? context.globalPort,
    calicoNode: owners.length > 0,
    ...(zone === undefined ? {} : { zone }),
    ...(clusterId === undefined ? {} : { clusterId }),
  };
}

function isGlobal(spec: BGPPeerSpec): boolean {
  return !isGiven(spec.node) && !isGiven(spec.nodeSelector);
}

function isOfWorkloads(spec: BGPPeerSpec): boolean {
  return isGiven(spec.localWorkloadSelector);
}

function isLocal(spec: BGPPeerSpec, node: BgpNode, { nodes }: PeerContext): boolean {
  if (isGiven(spec.nodeSelector)) return nodes.matches(spec.nodeSelector, node.labels);
  return !isGiven(spec.node) || spec.node === node.name;
}
