import { hostPrefix, type Prefix } from "../../lib/prefix.ts";
import type { Secret } from "../../lib/secret.ts";
import type { DynamicPeers, PeerConfig } from "./peer.ts";

/** TCP-MD5 keys (RFC 2385) of those who may connect to us. */
export interface ListenKeys {
  readonly keys: ReadonlyMap<Prefix, Secret>;
  /** Peers by name that must stay down, and why. */
  readonly refused: ReadonlyMap<string, string>;
}

/**
 * One key a peer and one a prefix of dynamic neighbours. The kernel knows a peer by its address alone,
 * so of several with one address and different passwords the first has it. Pure.
 */
export function listenKeys(
  peers: readonly PeerConfig[],
  dynamic: readonly DynamicPeers[],
): ListenKeys {
  const keys = new Map<Prefix, Secret>();
  const refused = new Map<string, string>();
  for (const { prefix, template } of dynamic) {
    if (template.password !== undefined) keys.set(prefix, template.password);
  }
  const owners = new Map<Prefix, PeerConfig>();
  for (const peer of peers) {
    const prefix = hostPrefix(peer.address);
    const owner = owners.get(prefix) ?? peer;
    owners.set(prefix, owner);
    if (owner.password?.fingerprint !== peer.password?.fingerprint) {
      refused.set(peer.name, `${owner.name} has the same address and another password`);
    } else if (peer.password !== undefined) keys.set(prefix, peer.password);
  }
  return { keys, refused };
}
