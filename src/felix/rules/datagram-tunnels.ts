import type { IpFamily } from "../../lib/ip-addr.ts";
import type { RulesConfig } from "./rules-config.ts";

/** A tunnel whose outer packets are UDP datagrams between the nodes' own addresses. */
export interface DatagramTunnel {
  /** As comments call it. */
  readonly name: string;
  readonly port: number;
}

/** Those that this node has, by the family of the outer packets. */
export function datagramTunnels(config: RulesConfig, family: IpFamily): readonly DatagramTunnel[] {
  const { vxlanEnabled, vxlanPort, udpTunnel } = config;
  return [
    ...(vxlanEnabled[family] ? [{ name: "VXLAN", port: vxlanPort }] : []),
    ...(udpTunnel?.family === family ? [{ name: "UDP tunnel", port: udpTunnel.port }] : []),
  ];
}
