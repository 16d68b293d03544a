import type { IpFamily } from "../../lib/ip-addr.ts";
import { protocolNumber } from "./match.ts";
import type { RulesConfig } from "./rules-config.ts";

/** A tunnel whose outer packets go between the nodes' own addresses and have an IP protocol of their own. */
export interface ProtocolTunnel {
  /** As comments call it. */
  readonly name: string;
  readonly protocol: number;
}

/** Those that this node has, by the family of the outer packets. */
export function protocolTunnels(config: RulesConfig, family: IpFamily): readonly ProtocolTunnel[] {
  const { ipip, ipv6 } = protocolNumber;
  const { ip6ip6, sit } = config.ip6Tunnels;
  if (family === 6) return ip6ip6 === undefined ? [] : [{ name: "IP6IP6", protocol: ipv6 }];
  return [
    ...(config.ipipEnabled ? [{ name: "IPIP", protocol: ipip }] : []),
    ...(sit === undefined ? [] : [{ name: "SIT", protocol: ipv6 }]),
  ];
}
