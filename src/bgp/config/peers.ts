import type { BGPPeer, BGPPeerSpec } from "../../api/resources/bgp.ts";
import { evaluateSelector } from "../../api/selector/evaluate.ts";
import { parseSelector } from "../../api/selector/parser.ts";
import { type Asn, parseAsn } from "../../lib/asn.ts";
import { compareText } from "../../lib/collections.ts";
import { errorMessage } from "../../lib/errors.ts";
import { type IpAddr, type IpFamily, ipFamily, parseIpAddr } from "../../lib/ip-addr.ts";
import type { BgpNode } from "./bgp-nodes.ts";
import { durationSeconds } from "./duration.ts";
import type { Neighbor } from "./session.ts";

/** Why a peer with a password stays down: it is never spoken to without. */
export const passwordUnsupported = "it has a password, which is not supported";

/** What BGPPeers are resolved against. */
export interface PeerContext {
  readonly me: BgpNode;
  readonly nodes: readonly BgpNode[];
  readonly globalAs: Asn;
  /** Global listen port. */
  readonly globalPort: number;
}

const families: readonly IpFamily[] = [4, 6];

/**
 * Neighbors of this node that BGPPeers name (facts 5.16): the global ones, then the node-specific,
 * then those of the other direction. The first of an address and port wins. A BGPPeer that cannot be
 * read gives none, and `problems` says why.
 */
export function peerNeighbors(
  peers: Iterable<BGPPeer>,
  context: PeerContext,
  problems: string[],
): Neighbor[] {
  const ordered = [...peers].sort((a, b) => compareText(a.metadata.name, b.metadata.name));
  const isGlobal = ({ spec }: BGPPeer) => !isGiven(spec.node) && !isGiven(spec.nodeSelector);
  const passes: readonly ((peer: BGPPeer) => Neighbor[])[] = [
    (peer) => (isGlobal(peer) ? forward(peer.spec, "GlobalPeer", context) : []),
    (peer) =>
      !isGlobal(peer) && isLocal(peer.spec, context.me)
        ? forward(peer.spec, "NodePeer", context)
        : [],
    (peer) => reverse(peer.spec, context),
  ];
  const found = new Map<string, Neighbor>();
  for (const pass of passes) {
    for (const peer of ordered) {
      for (const neighbor of guarded(peer, pass, problems)) {
        const key = `${neighbor.address} ${neighbor.port}`;
        if (!found.has(key)) found.set(key, neighbor);
      }
    }
  }
  return [...found.values()];
}

function guarded(
  peer: BGPPeer,
  pass: (peer: BGPPeer) => Neighbor[],
  problems: string[],
): Neighbor[] {
  try {
    commonFields(peer.spec);
    return pass(peer);
  } catch (error) {
    const problem = `Cannot use BGPPeer "${peer.metadata.name}": ${errorMessage(error)}`;
    if (!problems.includes(problem)) problems.push(problem);
    return [];
  }
}

function forward(spec: BGPPeerSpec, type: Neighbor["type"], context: PeerContext): Neighbor[] {
  const common = commonFields(spec);
  const remotes = isGiven(spec.peerSelector)
    ? nodeRemotes(matching(spec.peerSelector, context.nodes), families)
    : [addressRemote(spec, context)];
  return remotes
    .filter(({ address }) => address !== context.me.addresses[ipFamily(address)])
    .map((remote) => ({ ...common, ...remote, type }));
}

/** The other direction: this node is what the BGPPeer points at (facts 5.16 step 5). */
function reverse(spec: BGPPeerSpec, context: PeerContext): Neighbor[] {
  if (spec.reversePeering === "Manual" || isGiven(spec.localWorkloadSelector)) return [];
  const { me, nodes } = context;
  const towards = pointedFamilies(spec, context);
  if (towards.length === 0) return [];
  const remotes = nodes.filter((node) => node.name !== me.name && isLocal(spec, node));
  const common = commonFields(spec);
  return nodeRemotes(remotes, towards).map((remote) => ({
    ...common,
    ...remote,
    type: "NodePeer",
  }));
}

/** Families in which the BGPPeer points at this node. */
function pointedFamilies(spec: BGPPeerSpec, context: PeerContext): readonly IpFamily[] {
  const { me } = context;
  if (isGiven(spec.peerSelector)) return matches(spec.peerSelector, me) ? families : [];
  const { address, port, asn } = addressRemote(spec, context);
  const family = ipFamily(address);
  const isMe = me.addresses[family] === address && me.asn === asn && me.listenPort === port;
  return isMe ? [family] : [];
}

type Remote = Pick<Neighbor, "address" | "port" | "asn" | "calicoNode" | "clusterId">;

function nodeRemotes(nodes: readonly BgpNode[], wanted: readonly IpFamily[]): Remote[] {
  return nodes.flatMap(({ addresses, asn, listenPort, clusterId }) =>
    wanted.flatMap((family) => {
      const address = addresses[family];
      if (address === undefined) return [];
      const remote = { address, port: listenPort, asn, calicoNode: true };
      return [clusterId === undefined ? remote : { ...remote, clusterId }];
    }),
  );
}

function addressRemote(spec: BGPPeerSpec, context: PeerContext): Remote {
  if (isGiven(spec.localWorkloadSelector)) {
    throw new SyntaxError("localWorkloadSelector is not supported");
  }
  if (!isGiven(spec.peerIP)) {
    throw new SyntaxError("it has none of peerIP, peerSelector and localWorkloadSelector");
  }
  const { address, port } = parseEndpoint(spec.peerIP);
  const asn = isGivenAs(spec.asNumber) ? parseAsn(spec.asNumber) : context.globalAs;
  const owners = context.nodes.filter(({ addresses }) => addresses[ipFamily(address)] === address);
  const owner = owners.find((node) => node.asn === asn);
  const clusterId = owner?.clusterId;
  return {
    address,
    asn,
    port: port ?? owner?.listenPort ?? context.globalPort,
    calicoNode: owners.length > 0,
    ...(clusterId === undefined ? {} : { clusterId }),
  };
}

/** "1.2.3.4", "1.2.3.4:1790", "fd00::1" or "[fd00::1]:1790". */
function parseEndpoint(text: string): { readonly address: IpAddr; readonly port?: number } {
  const match = /^\[([^\]]+)\]:(\d+)$/.exec(text) ?? /^([^:]+):(\d+)$/.exec(text);
  if (match === null) return { address: parseIpAddr(text) };
  const port = Number(match[2]);
  if (!(port >= 1 && port <= 65535)) {
    throw new SyntaxError(`Cannot parse peerIP "${text}": the port must be 1 to 65535`);
  }
  return { address: parseIpAddr(match[1] ?? ""), port };
}

type CommonFields = Omit<Neighbor, "type" | "address" | "port" | "asn" | "calicoNode">;

function commonFields(spec: BGPPeerSpec): CommonFields {
  const { maxRestartTime, keepaliveTime, numAllowedLocalASNumbers, nextHopMode } = spec;
  const blocked = unsupported.find(([applies]) => applies(spec))?.[1];
  return {
    fromNodeAddress: spec.sourceAddress !== "None",
    keepOriginalNextHop: spec.keepOriginalNextHop === true,
    ...(isGivenAs(spec.localASNumber) ? { localAs: parseAsn(spec.localASNumber) } : {}),
    ...(maxRestartTime === undefined ? {} : { restartSeconds: durationSeconds(maxRestartTime) }),
    ...(keepaliveTime === undefined ? {} : { keepaliveSeconds: durationSeconds(keepaliveTime) }),
    ...(nextHopMode === undefined ? {} : { nextHopMode }),
    ...(numAllowedLocalASNumbers === undefined ? {} : { allowedLocalAs: numAllowedLocalASNumbers }),
    ...(blocked === undefined ? {} : { blocked }),
  };
}

/** What we cannot do keeps the peer down: half of it would be a session that nobody asked for. */
const unsupported: readonly (readonly [(spec: BGPPeerSpec) => boolean, string])[] = [
  [({ password }) => password?.secretKeyRef !== undefined, passwordUnsupported],
  [({ filters = [] }) => filters.length > 0, "it has filters, which are not supported"],
  [({ ttlSecurity = 0 }) => ttlSecurity > 0, "it has ttlSecurity, which is not supported"],
  [({ reachableBy }) => isGiven(reachableBy), "it has reachableBy, which is not supported"],
];

function isLocal(spec: BGPPeerSpec, node: BgpNode): boolean {
  if (isGiven(spec.nodeSelector)) return matches(spec.nodeSelector, node);
  return !isGiven(spec.node) || spec.node === node.name;
}

function matching(selector: string, nodes: readonly BgpNode[]): BgpNode[] {
  const parsed = parseSelector(selector);
  return nodes.filter(({ labels }) => evaluateSelector(parsed, labels));
}

function matches(selector: string, node: BgpNode): boolean {
  return matching(selector, [node]).length > 0;
}

function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}

/** 0 and "" are how some clients write no AS. */
function isGivenAs(asn: number | string | undefined): asn is number | string {
  return asn !== undefined && asn !== "" && Number(asn) !== 0;
}
