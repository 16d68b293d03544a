import { isDraining } from "../../api/drain.ts";
import {
  type ElectionSettings,
  electedLabel,
  electedPeer,
  electionAnnotation,
  electionSettings,
  isElected,
  isElectedPeer,
  meshOffAnnotation,
  meshOffMark,
} from "../../api/elected-reflectors.ts";
import { isCordoned, mayWork } from "../../api/node-conditions.ts";
import type { BGPConfiguration, BGPPeer } from "../../api/resources/bgp.ts";
import type { Node } from "../../api/resources/node.ts";
import { type BgpNode, dotted } from "../../bgp/config/bgp-nodes.ts";
import { hashedId } from "../../bgp/config/speaker-config.ts";
import type { Asn } from "../../lib/asn.ts";
import { errorMessage } from "../../lib/errors.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";

const zoneLabel = "topology.kubernetes.io/zone";

/** A node that speaks BGP, as the election sees it. */
export interface ElectionNode {
  readonly name: string;
  /** "" where it has none. */
  readonly zone: string;
  readonly addresses: readonly IpAddr[];
  readonly asn: Asn;
  /** What it has, or is to have as a reflector: each its own, so that each takes what others reflect (RFC 4456 section 8). */
  readonly clusterId: string;
  /** False: Kubernetes says that it does not work. */
  readonly mayWork: boolean;
  readonly isDrained: boolean;
  /** Drained or cordoned. */
  readonly isLeaving: boolean;
  readonly isElected: boolean;
  /** Somebody else has made it a reflector. */
  readonly isForeign: boolean;
}

/** "off by us" is off with our mark; "marked" is on with our mark: somebody has switched it on. */
export type MeshState = "on" | "off" | "off by us" | "marked";

/** The datastore, as far as an election goes. */
export interface ElectionView {
  /** Undefined: nobody asks for reflectors. */
  readonly settings: ElectionSettings | undefined;
  /** What cannot be read of what is asked for; "" when all can. */
  readonly problem: string;
  readonly mesh: MeshState;
  readonly peer: "absent" | "ours" | "changed" | "foreign";
  readonly nodes: readonly ElectionNode[];
}

export interface ElectionResources {
  readonly configuration: BGPConfiguration | undefined;
  /** The BGPPeer of the name of ours. */
  readonly peer: BGPPeer | undefined;
  readonly nodes: ReadonlyMap<string, Node>;
}

/** True when nobody asks for reflectors, and nothing of ours is there. */
export function isUntouched({ configuration, peer, nodes }: ElectionResources): boolean {
  const { annotations = {} } = configuration?.metadata ?? {};
  return (
    annotations[electionAnnotation] === undefined &&
    annotations[meshOffAnnotation] === undefined &&
    peer === undefined &&
    [...nodes.values()].every(({ metadata }) => metadata.labels?.[electedLabel] === undefined)
  );
}

export function electionView(
  { configuration, peer, nodes }: ElectionResources,
  speakers: readonly BgpNode[],
): ElectionView {
  return {
    ...asked(configuration),
    mesh: meshOf(configuration),
    peer: peerOf(peer),
    nodes: speakers.flatMap((speaker) => {
      const node = nodes.get(speaker.name);
      return node === undefined ? [] : [electionNode(node, speaker)];
    }),
  };
}

function asked(
  configuration: BGPConfiguration | undefined,
): Pick<ElectionView, "settings" | "problem"> {
  try {
    const settings = configuration === undefined ? undefined : electionSettings(configuration);
    return { settings, problem: "" };
  } catch (error) {
    return { settings: undefined, problem: errorMessage(error) };
  }
}

function meshOf(configuration: BGPConfiguration | undefined): MeshState {
  const { metadata, spec } = configuration ?? { metadata: { name: "default" }, spec: {} };
  const isMarked = metadata.annotations?.[meshOffAnnotation] === meshOffMark;
  if (spec.nodeToNodeMeshEnabled === false) return isMarked ? "off by us" : "off";
  return isMarked ? "marked" : "on";
}

function peerOf(peer: BGPPeer | undefined): ElectionView["peer"] {
  if (peer === undefined) return "absent";
  if (!isElectedPeer(peer)) return "foreign";
  const text = ({ nodeSelector, peerSelector }: BGPPeer["spec"]) =>
    `${nodeSelector} ${peerSelector}`;
  return text(peer.spec) === text(electedPeer.spec) ? "ours" : "changed";
}

function electionNode(node: Node, { name, addresses, asn }: BgpNode): ElectionNode {
  const labels = node.metadata.labels ?? {};
  const isDrained = isDraining(node);
  const cluster = node.spec.bgp?.routeReflectorClusterID ?? "";
  const hasMark = labels[electedLabel] !== undefined;
  return {
    name,
    zone: labels[zoneLabel] ?? "",
    addresses: Object.values(addresses),
    asn,
    clusterId: addresses[4] ?? dotted(hashedId(name)),
    mayWork: mayWork(node),
    isDrained,
    isLeaving: isDrained || isCordoned(node),
    isElected: isElected(node),
    isForeign: (cluster !== "" || hasMark) && !isElected(node),
  };
}
