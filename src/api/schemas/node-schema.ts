import { asNumber, interfaceAddress, ipAddress, macAddress } from "./fields.ts";
import { array, type Check, object, text } from "./schema.ts";

/** Node.spec (facts 2.4). */
export const nodeSpec: Check = object({
  bgp: object({
    ipv4Address: interfaceAddress,
    ipv6Address: interfaceAddress,
    asNumber,
    routeReflectorClusterID: ipAddress,
    ipv4IPIPTunnelAddr: ipAddress,
  }),
  ipv4VXLANTunnelAddr: ipAddress,
  vxlanTunnelMACAddr: macAddress,
  ipv6VXLANTunnelAddr: ipAddress,
  vxlanTunnelMACAddrV6: macAddress,
  wireguard: object({ interfaceIPv4Address: ipAddress, interfaceIPv6Address: ipAddress }),
  interfaces: array(
    object({ name: text(), addresses: array(text()) }, { required: ["name", "addresses"] }),
  ),
  addresses: array(object({ address: text(), type: text() }, { required: ["address"] })),
  orchRefs: array(
    object({ nodeName: text(), orchestrator: text() }, { required: ["orchestrator"] }),
  ),
});
