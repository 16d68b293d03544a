import type { Node } from "../../api/resources/node.ts";
import { isWireguardKey } from "../../kernel/wireguard/wireguard-key.ts";
import { isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import type { WireguardEnd, WireguardEndpoint } from "./updates.ts";

/** Where a node ends WireGuard tunnels. Undefined while it has neither key nor address. */
export function wireguardEndpointOf({ spec, status }: Node): WireguardEndpoint | undefined {
  const v4 = end(status?.wireguardPublicKey, spec.wireguard?.interfaceIPv4Address);
  const v6 = end(status?.wireguardPublicKeyV6, spec.wireguard?.interfaceIPv6Address);
  if (v4 === undefined && v6 === undefined) return undefined;
  return { ...(v4 ? { 4: v4 } : {}), ...(v6 ? { 6: v6 } : {}) };
}

/** A key that is none, or zeros, says that the node cannot have WireGuard (facts 4.21). */
function end(publicKey: string | undefined, address: string | undefined): WireguardEnd | undefined {
  const key = publicKey !== undefined && isWireguardKey(publicKey) ? { publicKey } : undefined;
  const own =
    address !== undefined && isIpAddr(address)
      ? { interfaceAddress: parseIpAddr(address) }
      : undefined;
  return key === undefined && own === undefined ? undefined : { ...key, ...own };
}
