import { asNumber, interfaceAddressOf, ipAddressOf, macAddress } from "./fields.ts";
import { array, type Check, object, text } from "./schema.ts";

/** Node.spec (facts 2.4). */
export const nodeSpec: Check = object({
  bgp: object({
    ipv4Address: interfaceAddressOf(4),
    ipv6Address: interfaceAddressOf(6),
    asNumber,
    routeReflectorClusterID: ipAddressOf(4),
    ipv4IPIPTunnelAddr: ipAddressOf(4),
  }),
  ipv4VXLANTunnelAddr: ipAddressOf(4),
  vxlanTunnelMACAddr: macAddress,
  ipv6VXLANTunnelAddr: ipAddressOf(6),
  vxlanTunnelMACAddrV6: macAddress,
  wireguard: object({
    interfaceIPv4Address: ipAddressOf(4),
    interfaceIPv6Address: ipAddressOf(6),
  }),
  interfaces: array(
    object({ name: text(), addresses: array(text()) }, { required: ["name", "addresses"] }),
  ),
  addresses: array(object({ address: text(), type: text() }, { required: ["address"] })),
  orchRefs: array(
    object({ nodeName: text(), orchestrator: text() }, { required: ["orchestrator"] }),
  ),
});
