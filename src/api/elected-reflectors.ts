import { leaseNamespace } from "./leases.ts";
import { calicoApiVersion } from "./meta.ts";
import type { ResourceKey } from "./resource-key.ts";
import type { BGPConfiguration, BGPPeer } from "./resources/bgp.ts";
import type { Lease } from "./resources/kubernetes.ts";
import type { Node } from "./resources/node.ts";

/**
 * Nodes that the controllers elect as route reflectors (docs/bgp-annotations.md): what asks for them, the marks by which
 * what the controllers have set is known from what people have, and what an elected node tells of its sessions.
 */

/** Annotation of BGPConfiguration "default" that asks for elected reflectors. */
export const electionAnnotation = "tortie.dev/route-reflectors";

/** Annotation of BGPConfiguration "default": the mesh is off because the controllers have switched it off. */
export const meshOffAnnotation = "tortie.dev/mesh-off";
export const meshOffMark = "route-reflectors";

/** Label of an elected Node; its value is the cluster ID that the node was given. */
export const electedLabel = "tortie.dev/elected-reflector";

/** Label of the BGPPeer by which all nodes speak with elected ones. */
const peerLabel = "tortie.dev/elected-reflectors";

export interface ElectionSettings {
  /** Reflectors of each zone. */
  readonly perZone: number;
  /** Nodes that a cluster has at least when reflectors take the mesh's place. */
  readonly from: number;
  /** With fewer nodes than these the mesh comes back. */
  readonly meshBelow: number;
}

const form = 'as in "2 per zone from 100 nodes" or "2 per zone from 100 nodes, mesh below 50"';
const maxPerZone = 8;

/**
 * What BGPConfiguration "default" asks for; undefined: nothing.
 *
 * @throws {SyntaxError} that names the annotation and its value.
 */
export function electionSettings({
  metadata,
}: Pick<BGPConfiguration, "metadata">): ElectionSettings | undefined {
  const text = metadata.annotations?.[electionAnnotation];
  if (text === undefined) return undefined;
  const pattern = /^(\d{1,3}) per zone from (\d{1,6}) nodes(?:, mesh below (\d{1,6}))?$/;
  const [, perZoneText, fromText, belowText] = pattern.exec(text) ?? [];
  const [perZone, from] = [Number(perZoneText), Number(fromText)];
  const meshBelow = belowText === undefined ? Math.floor(from * 0.8) : Number(belowText);
  const isValid =
    perZone >= 1 && perZone <= maxPerZone && from >= 2 && meshBelow >= 0 && meshBelow <= from;
  if (isValid) return { perZone, from, meshBelow };
  const limits = `1 to ${maxPerZone} per zone, from 2 nodes on, mesh below no more than that`;
  throw new SyntaxError(
    `${electionAnnotation} must be ${form} (${limits}), got ${JSON.stringify(text)}`,
  );
}

export function isElected({ metadata, spec }: Node): boolean {
  const mark = metadata.labels?.[electedLabel];
  return mark !== undefined && mark === spec.bgp?.routeReflectorClusterID;
}

/** All nodes speak with the elected, which speak with each other, too. */
export const electedPeer: BGPPeer = {
  apiVersion: calicoApiVersion,
  kind: "BGPPeer",
  metadata: { name: "tortie-elected-reflectors", labels: { [peerLabel]: "true" } },
  spec: { nodeSelector: "all()", peerSelector: `has(${electedLabel})` },
};

/** True of the one that the controllers made, whatever has become of it. */
export function isElectedPeer({ metadata }: BGPPeer): boolean {
  return metadata.labels?.[peerLabel] === "true";
}

/** An elected node that has not renewed its Lease for so long is gone. */
export const electedLeaseSeconds = 60;

const leasePrefix = "tortie-elected-";
const sessionsAnnotation = "tortie.dev/established";

/** The Lease by which an elected node tells of its sessions. No one else reads Leases: it costs other nodes nothing. */
export function electedLeaseKey(node: string): ResourceKey<"Lease"> {
  return { kind: "Lease", name: leasePrefix + node, namespace: leaseNamespace };
}

/** The node of such a Lease; undefined: it is another. */
export function electedNodeOf({ metadata: { name } }: Lease): string | undefined {
  return name.startsWith(leasePrefix) ? name.slice(leasePrefix.length) : undefined;
}

/**
 * The Lease of an elected node, renewed. `established` has the addresses of its Established sessions: 15 octets each at
 * most for IPv4, of the 256 KiB that annotations may have.
 */
export function renewedLease(
  node: string,
  before: Lease | undefined,
  { established, now }: { readonly established: readonly string[]; readonly now: Date },
): Lease {
  const { name, namespace = "" } = electedLeaseKey(node);
  const metadata = before?.metadata ?? { name, namespace };
  const renewTime = now.toISOString().replace(/Z$/, "000Z");
  const annotations = { ...metadata.annotations, [sessionsAnnotation]: established.join() };
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { ...metadata, annotations },
    spec: {
      ...before?.spec,
      holderIdentity: node,
      leaseDurationSeconds: electedLeaseSeconds,
      renewTime,
    },
  };
}

/** Addresses with which the node of a Lease has Established sessions. */
export function establishedOf({ metadata }: Lease): ReadonlySet<string> {
  const text = metadata.annotations?.[sessionsAnnotation] ?? "";
  return new Set(text === "" ? [] : text.split(","));
}
