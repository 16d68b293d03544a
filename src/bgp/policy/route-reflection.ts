import type { PathAttributes } from "../wire/message.ts";

/** How a route was learned, as split horizon and reflection ask. */
export interface RouteSource {
  readonly learned: "local" | "ebgp" | "ibgp";
  /** The peer that told it is our route reflector client. */
  readonly fromClient: boolean;
}

/**
 * True when a route may pass to an iBGP peer: learned by iBGP it passes only from a client or to a
 * client (RFC 4271 section 9.2, RFC 4456 section 6).
 */
export function passesToInternalPeer(source: RouteSource, peerIsClient: boolean): boolean {
  return source.learned !== "ibgp" || source.fromClient || peerIsClient;
}

/** Who reflects, and whose route. */
export interface Reflector {
  readonly clusterId: number;
  /** Router ID of the peer that told the route. */
  readonly sourceRouterId: number;
}

/** Attributes of a reflected route: ORIGINATOR_ID is kept or set, our cluster put before the list. */
export function reflectedAttributes(
  attributes: PathAttributes,
  { clusterId, sourceRouterId }: Reflector,
): PathAttributes {
  return {
    ...attributes,
    originatorId: attributes.originatorId ?? sourceRouterId,
    clusterList: [clusterId, ...(attributes.clusterList ?? [])],
  };
}

/** Why a reflected route has come back to us, or undefined (RFC 4456 section 8). */
export function reflectionLoop(
  attributes: PathAttributes,
  own: { readonly routerId: number; readonly clusterId?: number },
): "originator-is-self" | "cluster-loop" | undefined {
  if (attributes.originatorId === own.routerId) return "originator-is-self";
  if (own.clusterId !== undefined && attributes.clusterList?.includes(own.clusterId) === true) {
    return "cluster-loop";
  }
  return undefined;
}
