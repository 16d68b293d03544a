import type { Chain, Rule, TableName } from "../../kernel/iptables/model.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { datagramTunnels } from "./datagram-tunnels.ts";
import { failsafeChains } from "./failsafe-chains.ts";
import { calicoBits } from "./mark-bits.ts";
import {
  accepts,
  clearMark,
  conntrackState,
  interfaceIs,
  interfacePrefix,
  ipSet,
  jump,
  markClear,
  markSet,
  protocol,
  returns,
  setMark,
} from "./match.ts";
import { chains, setName, staticSets } from "./names.ts";
import { filterAllow, mangleAllow, type RulesConfig } from "./rules-config.ts";

/**
 * The raw and mangle chains that every node has, in Calico's order (facts 4.5), and the rules that
 * lead to ours from the kernel's chains.
 */

/** Rules that kernel chains begin and end with, for one table. */
export interface KernelChainRules {
  readonly insertions: ReadonlyMap<string, readonly Rule[]>;
  readonly appends: ReadonlyMap<string, readonly Rule[]>;
}

const established = conntrackState(["RELATED", "ESTABLISHED"]);
/** Comment of the rules behind the chains of host endpoints. */
export const hostAccepted = "Host endpoint policy accepted packet.";

export function kernelChainRules(table: TableName, config: RulesConfig): KernelChainRules {
  const jumps = (...names: readonly string[]): Map<string, readonly Rule[]> =>
    new Map(names.map((name) => [name, [{ match: [], action: jump(`cali-${name}`) }]]));
  switch (table) {
    case "raw":
      return { insertions: jumps("PREROUTING", "OUTPUT"), appends: new Map() };
    case "mangle":
      return { insertions: jumps("PREROUTING", "POSTROUTING"), appends: new Map() };
    case "nat":
      // Last, so that kube-proxy has cleared its own mark by then.
      return { insertions: jumps("PREROUTING", "OUTPUT"), appends: jumps("POSTROUTING") };
    case "filter":
      return {
        insertions: jumps("INPUT", "FORWARD", "OUTPUT"),
        appends: new Map([["FORWARD", forwardAppends(config)]]),
      };
  }
}

/** The mark tells mangle's POSTROUTING that the packet was forwarded. */
function forwardAppends(config: RulesConfig): Rule[] {
  const { accept } = config.marks;
  return [
    {
      match: [markSet(accept)],
      action: filterAllow(config),
      comments: ["Policy explicitly accepted packet."],
    },
    { match: [], action: setMark(accept) },
  ];
}

export function staticRawChains(config: RulesConfig, family: IpFamily): Chain[] {
  const { accept } = config.marks;
  const untracked = datagramTunnels(config, family).map(
    (tunnel): Rule => ({
      match: [protocol("udp"), { kind: "destinationPort", port: tunnel.port }],
      action: { kind: "noTrack" },
    }),
  );
  const hostMark = wireguardHostMark(config, family);
  return [
    ...failsafeChains("raw", config, family),
    ...hostMark.chains,
    rawPrerouting(config, [...hostMark.jump, ...untracked]),
    {
      name: chains.output,
      rules: [
        { match: [], action: clearMark(calicoBits(config.marks)) },
        { match: [], action: jump(chains.toHostEndpoint) },
        ...untracked,
        { match: [markSet(accept)], action: accepts },
      ],
    },
  ];
}

/**
 * With host encryption the way back to a host leads into the tunnel: what came from outside of it is
 * marked, so that the reverse path filter and the answers to it take the main table (facts 4.21).
 */
function wireguardHostMark(
  config: RulesConfig,
  family: IpFamily,
): { readonly chains: readonly Chain[]; readonly jump: readonly Rule[] } {
  const { wireguard, wireguardHostEncryption, marks } = config;
  if (!wireguardHostEncryption || wireguard[family] === undefined || marks.wireguard === undefined)
    return { chains: [], jump: [] };
  const devices = Object.values(wireguard).map(({ device }) => device);
  const passed = [
    ...["lo", ...devices].map((device) => interfaceIs("in", device)),
    ...config.workloadInterfacePrefixes.map((prefix) => interfacePrefix("in", prefix)),
  ];
  const rules: Rule[] = [
    ...passed.map((match) => ({ match: [match], action: returns })),
    { match: [], action: setMark(marks.wireguard) },
  ];
  const name = chains.wireguardIncomingMark;
  return { chains: [{ name, rules }], jump: [{ match: [], action: jump(name) }] };
}

/** Drops what pods send from addresses that are not theirs. This table knows no REJECT. */
function rawPrerouting(config: RulesConfig, first: readonly Rule[]): Chain {
  const { accept, scratch0: fromWorkload } = config.marks;
  return {
    name: chains.prerouting,
    rules: [
      { match: [], action: clearMark(calicoBits(config.marks)) },
      ...first,
      ...config.workloadInterfacePrefixes.map((prefix) => ({
        match: [interfacePrefix("in", prefix)],
        action: setMark(fromWorkload),
      })),
      { match: [markSet(fromWorkload)], action: jump(chains.rpfSkip) },
      { match: [markSet(fromWorkload), { kind: "reversePathFailed" }], action: { kind: "drop" } },
      { match: [markClear(fromWorkload)], action: jump(chains.fromHostEndpoint) },
      { match: [markSet(accept)], action: accepts },
    ],
  };
}

export function staticMangleChains(config: RulesConfig, family: IpFamily): Chain[] {
  const { accept } = config.marks;
  const allow = mangleAllow(config);
  return [
    ...failsafeChains("mangle", config, family),
    {
      name: chains.prerouting,
      rules: [
        { match: [established], action: allow },
        { match: [markSet(accept)], action: allow },
        { match: [], action: jump(chains.fromHostEndpoint) },
        { match: [markSet(accept)], action: allow, comments: [hostAccepted] },
      ],
    },
    {
      name: chains.postrouting,
      rules: [
        {
          match: [
            ipSet("source", setName(staticSets.dscpSources, family)),
            ipSet("destination", setName(staticSets.allPools, family), true),
            ipSet("destination", setName(staticSets.thisHost, family), true),
          ],
          action: jump(chains.egressDscp),
          comments: ["set dscp for traffic leaving cluster."],
        },
        { match: [markSet(accept)], action: returns },
        { match: [], action: clearMark(calicoBits(config.marks)) },
        { match: [conntrackState(["DNAT"])], action: jump(chains.toHostEndpoint) },
        { match: [markSet(accept)], action: returns, comments: [hostAccepted] },
      ],
    },
  ];
}
