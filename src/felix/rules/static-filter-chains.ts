import type { Chain, Rule } from "../../kernel/iptables/model.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { type DatagramTunnel, datagramTunnels } from "./datagram-tunnels.ts";
import { failsafeChains } from "./failsafe-chains.ts";
import { calicoBits, union } from "./mark-bits.ts";
import {
  accepts,
  clearMark,
  conntrackState,
  goto,
  icmp,
  interfacePrefix,
  ipSet,
  jump,
  localAddress,
  markClear,
  markSet,
  port,
  protocol,
  protocolNumber,
  returns,
} from "./match.ts";
import { chains, setName, staticSets } from "./names.ts";
import { type ProtocolTunnel, protocolTunnels } from "./protocol-tunnels.ts";
import { denyWord, filterAllow, filterDeny, type RulesConfig } from "./rules-config.ts";
import { hostAccepted } from "./static-chains.ts";

/** What a pod's kernel needs to find its router and neighbours (facts 4.5). */
const neighborDiscoveryTypes = [130, 131, 132, 133, 135, 136];

/** The filter table's chains that every node has, in Calico's order (facts 4.5). */
export function staticFilterChains(config: RulesConfig, family: IpFamily): Chain[] {
  return [
    ...failsafeChains("filter", config, family),
    forwardChain(config),
    inputChain(config, family),
    workloadToHostChain(config, family),
    outputChain(config, family),
  ];
}

/** An accept of the raw table's policy is kept. */
function forwardChain(config: RulesConfig): Chain {
  const { pass, scratch0, scratch1, accept } = config.marks;
  return {
    name: chains.forward,
    rules: [
      { match: [], action: clearMark(union(pass, scratch0, scratch1)) },
      { match: [markClear(accept)], action: jump(chains.fromHostEndpointForward) },
      ...config.workloadInterfacePrefixes.flatMap((prefix): Rule[] => [
        { match: [interfacePrefix("in", prefix)], action: jump(chains.fromWorkloadDispatch) },
        { match: [interfacePrefix("out", prefix)], action: jump(chains.toWorkloadDispatch) },
      ]),
      { match: [], action: jump(chains.toHostEndpointForward) },
      { match: [], action: jump(chains.cidrBlock) },
    ],
  };
}

function inputChain(config: RulesConfig, family: IpFamily): Chain {
  const { accept } = config.marks;
  const allow = filterAllow(config);
  return {
    name: chains.input,
    rules: [
      ...protocolTunnels(config, family).flatMap((tunnel) => protocolInput(tunnel, config, family)),
      ...datagramTunnels(config, family).flatMap((tunnel) => datagramInput(tunnel, config, family)),
      ...wireguardInput(config, family),
      ...config.workloadInterfacePrefixes.map((prefix) => ({
        match: [interfacePrefix("in", prefix)],
        action: goto(chains.workloadToHost),
      })),
      { match: [markSet(accept)], action: allow },
      { match: [], action: clearMark(calicoBits(config.marks)) },
      { match: [], action: jump(chains.fromHostEndpoint) },
      { match: [markSet(accept)], action: allow, comments: [hostAccepted] },
    ],
  };
}

function protocolInput(tunnel: ProtocolTunnel, config: RulesConfig, family: IpFamily): Rule[] {
  const outer = protocol(tunnel.protocol);
  const hosts = ipSet("source", setName(staticSets.allHosts, family));
  return [
    {
      match: [outer, hosts, localAddress("destination")],
      action: filterAllow(config),
      comments: [`Allow ${tunnel.name} packets from Calico hosts`],
    },
    {
      match: [outer],
      action: filterDeny(config),
      comments: [`${denyWord(config)} ${tunnel.name} packets from non-Calico hosts`],
    },
  ];
}

function datagramInput(tunnel: DatagramTunnel, config: RulesConfig, family: IpFamily): Rule[] {
  const datagram = [protocol(protocolNumber.udp), port("destination", tunnel.port)];
  // Calico drops IPv4 here whatever the deny action is; so do we, or hashes would differ.
  const [word, deny] =
    family === 4 ? ["Drop", { kind: "drop" } as const] : [denyWord(config), filterDeny(config)];
  return [
    {
      match: [
        ...datagram,
        ipSet("source", setName(staticSets.allVxlan, family)),
        localAddress("destination"),
      ],
      action: filterAllow(config),
      comments: [`Allow IPv${family} ${tunnel.name} packets from allowed hosts`],
    },
    {
      match: [...datagram, localAddress("destination")],
      action: deny,
      comments: [`${word} IPv${family} ${tunnel.name} packets from non-allowed hosts`],
    },
  ];
}

/** Nothing is dropped: WireGuard itself takes packets from its peers only. */
function wireguardInput(config: RulesConfig, family: IpFamily): Rule[] {
  const wireguard = config.wireguard[family];
  if (wireguard === undefined) return [];
  return [
    {
      match: [
        protocol(protocolNumber.udp),
        port("destination", wireguard.port),
        localAddress("destination"),
      ],
      action: filterAllow(config),
      comments: [`Allow incoming IPv${family} Wireguard packets`],
    },
  ];
}

function workloadToHostChain(config: RulesConfig, family: IpFamily): Chain {
  const discovery: Rule[] = neighborDiscoveryTypes.map((type) => ({
    match: [protocol(protocolNumber.icmpv6), icmp(6, { type })],
    action: filterAllow(config),
  }));
  const toHost = {
    ACCEPT: accepts,
    DROP: filterDeny(config),
    RETURN: returns,
  }[config.defaultEndpointToHostAction];
  return {
    name: chains.workloadToHost,
    rules: [
      ...(family === 6 ? discovery : []),
      { match: [], action: jump(chains.fromWorkloadDispatch) },
      { match: [], action: toHost, comments: ["Configured DefaultEndpointToHostAction"] },
    ],
  };
}

/** What the host itself sends to its pods is let through. */
function outputChain(config: RulesConfig, family: IpFamily): Chain {
  const { accept } = config.marks;
  const allow = filterAllow(config);
  return {
    name: chains.output,
    rules: [
      { match: [markSet(accept)], action: allow },
      ...config.workloadInterfacePrefixes.map((prefix) => ({
        match: [interfacePrefix("out", prefix)],
        action: returns,
      })),
      ...tunnelOutput(config, family),
      { match: [], action: clearMark(calicoBits(config.marks)) },
      { match: [conntrackState(["DNAT"], true)], action: jump(chains.toHostEndpoint) },
      { match: [markSet(accept)], action: allow, comments: [hostAccepted] },
    ],
  };
}

function tunnelOutput(config: RulesConfig, family: IpFamily): Rule[] {
  const rules: Rule[] = [];
  for (const tunnel of protocolTunnels(config, family)) {
    rules.push({
      match: [
        protocol(tunnel.protocol),
        ipSet("destination", setName(staticSets.allHosts, family)),
        localAddress("source"),
      ],
      action: filterAllow(config),
      comments: [`Allow ${tunnel.name} packets to other Calico hosts`],
    });
  }
  for (const tunnel of datagramTunnels(config, family)) {
    rules.push({
      match: [
        protocol(protocolNumber.udp),
        port("destination", tunnel.port),
        localAddress("source"),
        ipSet("destination", setName(staticSets.allVxlan, family)),
      ],
      action: filterAllow(config),
      comments: [`Allow IPv${family} ${tunnel.name} packets to other allowed hosts`],
    });
  }
  const wireguard = config.wireguard[family];
  if (wireguard !== undefined) {
    rules.push({
      match: [
        protocol(protocolNumber.udp),
        port("destination", wireguard.port),
        localAddress("source"),
      ],
      action: filterAllow(config),
      comments: [`Allow outgoing IPv${family} Wireguard packets`],
    });
  }
  return rules;
}
