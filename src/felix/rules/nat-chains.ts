import type { Action, Chain, Match, Ports, Rule } from "../../kernel/iptables/model.ts";
import { compareText } from "../../lib/collections.ts";
import { type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { LocalEndpoint } from "../calc/updates.ts";
import { datagramTunnels } from "./datagram-tunnels.ts";
import { interfaceIs, interfacePrefix, ipSet, jump, net, protocol, returns } from "./match.ts";
import { chains, setName, staticSets } from "./names.ts";
import type { RulesConfig } from "./rules-config.ts";

/** The nat table's chains, and cali-cidr-block of the filter table (facts 4.5). */

export function staticNatChains(config: RulesConfig, family: IpFamily): Chain[] {
  return [
    { name: chains.prerouting, rules: [{ match: [], action: jump(chains.floatingDnat) }] },
    {
      name: chains.postrouting,
      rules: [
        { match: [], action: jump(chains.floatingSnat) },
        { match: [], action: jump(chains.natOutgoing) },
        ...tunnelMasquerade(config, family),
      ],
    },
    { name: chains.output, rules: [{ match: [], action: jump(chains.floatingDnat) }] },
  ];
}

/**
 * What goes to a floating address goes to its endpoint; what an endpoint sends to itself that way seems
 * to come from there, so that the answer comes back the same way (facts 4.5).
 */
export function floatingIpChains(endpoints: Iterable<LocalEndpoint>, family: IpFamily): Chain[] {
  const pairs = [...endpoints]
    .flatMap(({ floating }) => floating)
    .filter(({ internal, external }) =>
      [internal, external].every((one) => ipFamily(one) === family),
    );
  const dnat = oneOfEach(pairs, "external", "internal").map(({ external, internal }) => ({
    match: [net("destination", external)],
    action: { kind: "dnat", address: internal } as const,
  }));
  const snat = oneOfEach(pairs, "internal", "external").map(({ external, internal }) => ({
    match: [net("destination", internal), net("source", internal)],
    action: { kind: "snat", address: external } as const,
  }));
  return [
    { name: chains.floatingDnat, rules: dnat },
    { name: chains.floatingSnat, rules: snat },
  ];
}

type Floating = LocalEndpoint["floating"][number];

/** Sorted by `key`; of several with one, that with the first `other`. */
function oneOfEach(
  pairs: readonly Floating[],
  key: keyof Floating,
  other: keyof Floating,
): Floating[] {
  const sorted = pairs.toSorted(
    (a, b) => compareText(a[key], b[key]) || compareText(a[other], b[other]),
  );
  return sorted.filter((pair, i) => pair[key] !== sorted[i - 1]?.[key]);
}

/** `active`: some pool asks for outgoing NAT. Otherwise the chain is there and empty. */
export function natOutgoingChain(active: boolean, config: RulesConfig, family: IpFamily): Chain {
  if (!active) return { name: chains.natOutgoing, rules: [] };
  const rules: Rule[] = [];
  if (config.natPortRange !== undefined) {
    const action = natAction(config, family, config.natPortRange);
    for (const name of ["tcp", "udp"]) {
      const match = outgoingMatch(config, family, [protocol(name)]);
      rules.push({ match, action }, { match, action: returns });
    }
  }
  const action = natAction(config, family, undefined);
  rules.push({ match: outgoingMatch(config, family, []), action });
  return { name: chains.natOutgoing, rules };
}

/** Drops what is for a service or load balancer CIDR and no service took (facts 4.5). */
export function cidrBlockChain(
  cidrs: Iterable<Prefix>,
  config: RulesConfig,
  family: IpFamily,
): Chain {
  const { serviceLoopPrevention } = config;
  if (serviceLoopPrevention === "Disabled") return { name: chains.cidrBlock, rules: [] };
  const action: Action = serviceLoopPrevention === "Drop" ? { kind: "drop" } : { kind: "reject" };
  const rules = [...cidrs]
    .filter((cidr) => prefixFamily(cidr) === family)
    .sort(compareText)
    .map((cidr) => ({ match: [net("destination", cidr)], action }));
  return { name: chains.cidrBlock, rules };
}

function outgoingMatch(config: RulesConfig, family: IpFamily, extra: readonly Match[]): Match[] {
  const match = [
    ipSet("source", setName(staticSets.masqueradedPools, family)),
    ipSet("destination", setName(staticSets.allPools, family), true),
  ];
  if (config.natOutgoingExclusions === "IPPoolsAndHostIPs") {
    match.push(ipSet("destination", setName(staticSets.allHosts, family), true));
  }
  match.push(...extra);
  const device = config.natOutgoingInterface;
  if (device?.endsWith("+")) match.push(interfacePrefix("out", device.slice(0, -1)));
  else if (device !== undefined) match.push(interfaceIs("out", device));
  return match;
}

/** NATOutgoingAddress is an IPv4 address: IPv6 is masqueraded whatever it says. */
function natAction(config: RulesConfig, family: IpFamily, toPorts: Ports | undefined): Action {
  const range = toPorts === undefined ? {} : { toPorts };
  const address = family === 4 ? config.natOutgoingAddress : undefined;
  return address === undefined
    ? { kind: "masquerade", ...range }
    : { kind: "snat", address, ...range };
}

/**
 * What the host sends into a tunnel from another of its addresses (a service's NAT can make that)
 * leaves with the tunnel's own.
 */
function tunnelMasquerade(config: RulesConfig, family: IpFamily): Rule[] {
  const devices: string[] = [];
  if (family === 4 && config.ipipEnabled && config.ipipDevice) devices.push(config.ipipDevice);
  const vxlanDevice = config.vxlanDevice[family];
  if (config.vxlanEnabled[family] && vxlanDevice) devices.push(vxlanDevice);
  const wireguard = config.wireguard[family];
  if (wireguard?.isUp === true) devices.push(wireguard.device);
  const { udpTunnel } = config;
  if (udpTunnel?.device !== undefined) devices.push(udpTunnel.device);
  for (const tunnel of family === 6 ? Object.values(config.ip6Tunnels) : []) {
    if (tunnel.device !== undefined) devices.push(tunnel.device);
  }
  const ports = datagramTunnels(config, family).map(({ port }) => port);
  return devices.flatMap((device) => {
    const match: Match[] = [
      interfaceIs("out", device),
      { kind: "localAddress", side: "source", limitInterfaceOut: true, not: true },
      { kind: "localAddress", side: "source" },
    ];
    const plain: Rule = { match, action: { kind: "masquerade" } };
    if (ports.length === 0) return [plain];
    // A source port equal to a tunnel's would make the reply look like the tunnel's, untracked.
    const toPorts = portsWithout(ports);
    return [{ match: [protocol("udp"), ...match], action: { kind: "masquerade", toPorts } }, plain];
  });
}

/** The largest of the ranges that lie below, between and above these among unprivileged ports; of equal ones the last. */
function portsWithout(taken: readonly number[]): Ports {
  const edges = [...taken.toSorted((a, b) => a - b), 65_536];
  let widest = { first: 1024, last: 0 };
  let first = 1024;
  for (const edge of edges) {
    if (edge - 1 - first >= widest.last - widest.first) widest = { first, last: edge - 1 };
    first = Math.max(edge + 1, 1024);
  }
  return widest;
}
