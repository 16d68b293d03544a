import type { IpFamily } from "../../lib/ip-addr.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import type { RulesConfig, WireguardRules } from "../rules/rules-config.ts";
import type { Ip6TunnelManager } from "./ip6-tunnel-manager.ts";
import type { Tunnel } from "./tunnels.ts";
import type { WireguardManager } from "./wireguard-manager.ts";

/** The tunnels of a node, as rules see them. */
export interface TunnelSet {
  readonly vxlan: readonly Tunnel[];
  readonly ipip: Tunnel | undefined;
  readonly udp: Tunnel;
  readonly ip6: readonly Tunnel<Ip6TunnelManager>[];
  readonly wireguard: readonly Tunnel<WireguardManager>[];
}

export type TunnelRules = Pick<
  RulesConfig,
  | "vxlanEnabled"
  | "vxlanDevice"
  | "ipipEnabled"
  | "ipipDevice"
  | "udpTunnel"
  | "ip6Tunnels"
  | "wireguard"
>;

/** Which tunnels packets may come by, and which devices are there to masquerade what leaves by them. */
export function tunnelRules(
  { vxlan, ipip, udp, ip6, wireguard }: TunnelSet,
  config: FelixConfig,
): TunnelRules {
  const enabled: Record<IpFamily, boolean> = { 4: false, 6: false };
  const devices: Partial<Record<IpFamily, string>> = {};
  for (const tunnel of vxlan) {
    enabled[tunnel.family] = isWanted(tunnel);
    if (tunnel.link !== undefined) devices[tunnel.family] = tunnel.link.name;
  }
  const ipipDevice = ipip?.link?.name;
  return {
    vxlanEnabled: enabled,
    vxlanDevice: devices,
    ipipEnabled: ipip !== undefined && isWanted(ipip),
    ...(ipipDevice === undefined ? {} : { ipipDevice }),
    ...(isWanted(udp)
      ? { udpTunnel: { port: config.udpPort, family: udp.family, ...deviceOf(udp) } }
      : {}),
    ip6Tunnels: Object.fromEntries(
      ip6.filter(isWanted).map((tunnel) => [tunnel.manager.kind, deviceOf(tunnel)]),
    ),
    wireguard: wireguardRules(wireguard.filter(isWanted), config),
  };
}

function isWanted({ wanted, link }: Tunnel): boolean {
  return wanted(link !== undefined);
}

function deviceOf({ link }: Tunnel): { readonly device?: string } {
  return link === undefined ? {} : { device: link.name };
}

function wireguardRules(
  tunnels: TunnelSet["wireguard"],
  { wireguard }: FelixConfig,
): RulesConfig["wireguard"] {
  const rules: Partial<Record<IpFamily, WireguardRules>> = {};
  for (const { family, manager, link } of tunnels) {
    const port = wireguard.port[family];
    rules[family] = { device: manager.deviceName, port, isUp: link !== undefined };
  }
  return rules;
}
