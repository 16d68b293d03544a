import { acts, ignored, type ParameterTable, type TableOf } from "./parameter.ts";
import { duration, flag, integer, matching, maybe, port, text } from "./types.ts";
import type { IpipValues, VxlanValues } from "./values.ts";

/** Facts appendix A, "Overlay". */

const vxlan = "unit/felix/config/state-parameters";
const ipip = "unit/felix/dataplane/ipip-manager";
const noWireguard = "WireGuard is not built yet";
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

export const ipipParameters: TableOf<IpipValues> = {
  ipipEnabled: acts(maybe(flag), "", ipip, {
    variable: "IpInIpEnabled",
    note: "where it is not set, IP pools decide",
  }),
  ipipMTU: acts(mtu, "0", ipip, { variable: "IpInIpMtu" }),
};

export const wireguardParameters: ParameterTable = {
  wireguardEnabled: ignored(flag, "false", noWireguard),
  wireguardEnabledV6: ignored(flag, "false", noWireguard),
  wireguardHostEncryption: ignored(text, "", noWireguard),
  wireguardHostEncryptionEnabled: ignored(flag, "false", noWireguard),
  wireguardInterfaceName: ignored(device, "wireguard.cali", noWireguard),
  wireguardInterfaceNameV6: ignored(device, "wg-v6.cali", noWireguard),
  wireguardListeningPort: ignored(port, "51820", noWireguard),
  wireguardListeningPortV6: ignored(port, "51821", noWireguard),
  wireguardMTU: ignored(mtu, "0", noWireguard),
  wireguardMTUV6: ignored(mtu, "0", noWireguard),
  wireguardKeepAlive: ignored(duration(), "0", noWireguard, {
    variable: "WireguardPersistentKeepAlive",
  }),
  wireguardRoutingRulePriority: ignored(integer(0, 0xffffffff), "99", noWireguard),
  wireguardThreadingEnabled: ignored(flag, "false", noWireguard),
};
