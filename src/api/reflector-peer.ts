import { leaseNamespace } from "./leases.ts";
import { calicoApiVersion, type Metadata } from "./meta.ts";
import type { ResourceKey } from "./resource-key.ts";
import type { BGPPeer } from "./resources/bgp.ts";

/**
 * The BGPPeers that a route reflector makes for itself: a label tells them from those that people write, and
 * names the reflector's Lease.
 */

/** Label of such a BGPPeer, and of the Lease: the reflector's name. */
export const reflectorLabel = "tortie.dev/route-reflector";

/** A reflector that has not renewed its Lease for so long is gone. */
export const reflectorLeaseSeconds = 60;

/** The Lease that a reflector renews as long as it lives. */
export function reflectorLeaseKey(reflector: string): ResourceKey<"Lease"> {
  return { kind: "Lease", name: `tortie-${reflector}`, namespace: leaseNamespace };
}

/** By which every node speaks with a reflector. `address` is IPv4 or IPv6. */
export function reflectorPeer(reflector: string, address: string, port: number): BGPPeer {
  const is6 = address.includes(":");
  return {
    apiVersion: calicoApiVersion,
    kind: "BGPPeer",
    metadata: { name: `${reflector}-v${is6 ? 6 : 4}`, labels: { [reflectorLabel]: reflector } },
    spec: { nodeSelector: "all()", peerIP: is6 ? `[${address}]:${port}` : `${address}:${port}` },
  };
}

/** The reflector that made a BGPPeer or Lease; undefined for one that somebody else wrote. */
export function reflectorOf({ labels = {} }: Metadata): string | undefined {
  return labels[reflectorLabel] || undefined;
}
