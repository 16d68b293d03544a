import { acts, ignored, type TableOf } from "./parameter.ts";
import { duration, flag, integer, matching, maybe, text } from "./types.ts";
import type { IpipValues, OwnTunnelValues, VxlanValues, WireguardValues } from "./values.ts";

/** Facts appendix A, "Overlay". */

const vxlan = "unit/felix/config/state-parameters";
const ip6Tunnel = "unit/felix/dataplane/ip6-tunnel-manager";
const udp = "unit/felix/dataplane/udp-manager";
const ipip = "unit/felix/dataplane/ipip-manager";
const wireguard = "unit/felix/dataplane/wireguard-manager";
const mtu = integer(0, 65535);
const device = matching(/^[a-zA-Z0-9:._+-]{1,15}$/, "an interface name of at most 15 characters");

export const vxlanParameters: TableOf<VxlanValues> = {
  vxlanEnabled: acts(maybe(flag), "", vxlan, {
    note: "for IPv4; where it is not set, IP pools decide",
  }),
  vxlanMTU: acts(mtu, "0", vxlan),
  vxlanMTUV6: acts(mtu, "0", vxlan),
  vxlanPort: acts(integer(1, 65535), "4789", "unit/felix/config/rules-parameters"),
  vxlanVNI: acts(integer(1, 0xffffff), "4096", vxlan),
};

/** Our own (docs/ipv6.md, docs/udp-tunnel.md). */
export const ownTunnelParameters: TableOf<OwnTunnelValues> = {
  ip6TunnelMTU: acts(mtu, "0", ip6Tunnel),
  udpMTU: acts(mtu, "0", udp),
  udpPort: acts(integer(1, 65535), "8285", udp),
};

export const ipipParameters: TableOf<IpipValues> = {
  ipipEnabled: acts(maybe(flag), "", ipip, {
    variable: "IpInIpEnabled",
    note: "where it is not set, IP pools decide",
  }),
  ipipMTU: acts(mtu, "0", ipip, { variable: "IpInIpMtu" }),
};

export const wireguardParameters: TableOf<WireguardValues> = {
  wireguardEnabled: acts(flag, "false", wireguard),
  wireguardEnabledV6: acts(flag, "false", wireguard),
  wireguardHostEncryption: ignored(text, "", "wireguardHostEncryptionEnabled is the one that acts"),
  wireguardHostEncryptionEnabled: acts(flag, "false", wireguard),
  wireguardInterfaceName: acts(device, "wireguard.cali", wireguard),
  wireguardInterfaceNameV6: acts(device, "wg-v6.cali", wireguard),
  wireguardListeningPort: acts(integer(1, 65535), "51820", wireguard),
  wireguardListeningPortV6: acts(integer(1, 65535), "51821", wireguard),
  wireguardMTU: acts(mtu, "0", wireguard),
  wireguardMTUV6: acts(mtu, "0", wireguard),
  wireguardKeepAlive: acts(duration(), "0", wireguard, {
    variable: "WireguardPersistentKeepAlive",
  }),
  wireguardRoutingRulePriority: acts(integer(1, 32765), "99", wireguard),
  wireguardThreadingEnabled: acts(flag, "false", wireguard),
  wireguardPresharedKeyFile: acts(text, "", wireguard, {
    local: true,
    note: "ours, docs/wireguard.md",
  }),
};
