import { vtepMac } from "../../api/names.ts";
import type { Node } from "../../api/resources/node.ts";
import { type IpAddr, type IpFamily, isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { type MacAddr, parseMac } from "../../lib/mac.ts";
import { hostAddresses } from "./l3-routes.ts";
import type { Vtep } from "./updates.ts";

interface TunnelEnd {
  readonly tunnelAddress: IpAddr;
  readonly mac: MacAddr;
  readonly nodeAddress: IpAddr;
}

/** Where a node ends VXLAN tunnels. Undefined while it has no tunnel address. */
export function vtepOf(node: Node): Vtep | undefined {
  const { spec, metadata } = node;
  const hosts = hostAddresses(node);
  const v4 = end(
    { family: 4, node: metadata.name },
    spec.ipv4VXLANTunnelAddr,
    spec.vxlanTunnelMACAddr,
    hosts.v4?.address,
  );
  const v6 = end(
    { family: 6, node: metadata.name },
    spec.ipv6VXLANTunnelAddr,
    spec.vxlanTunnelMACAddrV6,
    hosts.v6?.address,
  );
  if (v4 === undefined && v6 === undefined) return undefined;
  return { node: metadata.name, ...(v4 ? { v4 } : {}), ...(v6 ? { v6 } : {}) };
}

/** Without a MAC of its own, a node's follows from its name (facts 4.9). */
function end(
  of: { readonly family: IpFamily; readonly node: string },
  tunnelAddress: string | undefined,
  mac: string | undefined,
  nodeAddress: IpAddr | undefined,
): TunnelEnd | undefined {
  if (tunnelAddress === undefined || !isIpAddr(tunnelAddress) || nodeAddress === undefined) {
    return undefined;
  }
  return {
    tunnelAddress: parseIpAddr(tunnelAddress),
    mac: mac ? parseMac(mac) : vtepMac(of.node, of.family),
    nodeAddress,
  };
}
