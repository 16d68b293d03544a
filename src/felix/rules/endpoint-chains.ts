import type { Action, Chain, Match, Rule } from "../../kernel/iptables/model.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import type {
  ActivePolicy,
  DirectionLimits,
  EndpointTier,
  LocalEndpoint,
} from "../calc/updates.ts";
import { connectionLimitRules, packetRateRules } from "./limit-rules.ts";
import { union } from "./mark-bits.ts";
import {
  accepts,
  clearMark,
  conntrackState,
  interfaceIs,
  jump,
  markClear,
  markSet,
  net,
  port,
  protocol,
  protocolNumber,
  returns,
  setMark,
} from "./match.ts";
import { chains, type Direction, endpointChainName, profileChainName } from "./names.ts";
import { denialLog, endOfTierPrefix, noProfilePrefix } from "./nflog.ts";
import { groupPolicies, groupTarget } from "./policy-groups.ts";
import { denyWord, filterAllow, filterDeny, type RulesConfig } from "./rules-config.ts";

/**
 * The two chains of a pod: "cali-tw-" for what goes to it, "cali-fw-" for what it sends. Chains of
 * policies, groups and profiles that they lead to are others'.
 */
export function workloadEndpointChains(
  endpoint: LocalEndpoint,
  policies: ReadonlyMap<string, ActivePolicy>,
  config: RulesConfig,
): Chain[] {
  return (["ingress", "egress"] as const).map((direction) =>
    endpointChain(
      {
        name: endpointChainName(endpoint.interfaceName, direction),
        stage: "normal",
        direction,
        tiers: endpoint.tiers,
        profiles: endpoint.profiles,
        allow: filterAllow(config),
        ...(endpoint.qos === undefined ? {} : { limits: endpoint.qos[direction] }),
        beforePolicy: direction === "egress" ? encapsulatedDrops(config) : [],
      },
      { policies, config },
    ),
  );
}

/** One chain of a workload's or host's endpoint, for one direction at one place of a packet's way. */
export interface EndpointChain {
  readonly name: string;
  readonly stage: "normal" | "forward" | "untracked" | "preDnat";
  /** Of the policies that it asks. */
  readonly direction: Direction;
  readonly tiers: readonly EndpointTier[];
  readonly profiles: readonly string[];
  /** For connections that go on. */
  readonly allow: Action;
  /** Chain of what is always let through. */
  readonly failsafe?: string;
  readonly beforePolicy?: readonly Rule[];
  readonly limits?: DirectionLimits;
}

export interface EndpointContext {
  readonly policies: ReadonlyMap<string, ActivePolicy>;
  readonly config: RulesConfig;
}

/** The order is contract (facts 4.6). */
export function endpointChain(chain: EndpointChain, context: EndpointContext): Chain {
  const { config } = context;
  const { stage, failsafe, direction, limits = {} } = chain;
  const forwardsAll = stage === "forward" && chain.tiers.length === 0;
  return {
    name: chain.name,
    rules: [
      ...packetRateRules(limits, direction, config),
      ...(stage === "untracked" ? [] : conntrackRules(chain.allow, config)),
      ...connectionLimitRules(limits, direction),
      ...(failsafe === undefined ? [] : [{ match: [], action: jump(failsafe) }]),
      { match: [], action: clearMark(union(config.marks.accept, config.marks.pass)) },
      ...(chain.beforePolicy ?? []),
      ...chain.tiers.flatMap((tier) => tierRules(tier, chain, context)),
      ...(forwardsAll ? forwardDefault(config) : []),
      ...(stage === "normal" ? profilesRules(chain, config) : []),
    ],
  };
}

/** Nothing is asked of what is only forwarded, unless some policy asks it. */
function forwardDefault(config: RulesConfig): Rule[] {
  return [
    {
      match: [],
      action: setMark(config.marks.accept),
      comments: ["Allow forwarded traffic by default"],
    },
    { match: [], action: returns, comments: ["Return for accepted forward traffic"] },
  ];
}

function profilesRules({ profiles, direction }: EndpointChain, config: RulesConfig): Rule[] {
  return [
    ...profiles.flatMap((profile) => profileRules(profile, direction, config)),
    ...denialLog(direction, noProfilePrefix(direction), [], config),
    {
      match: [],
      action: filterDeny(config),
      comments: [`${denyWord(config)} if no profiles matched`],
    },
  ];
}

/** Chain of the raw table: pods that may send from addresses that are not theirs. */
export function rpfSkipChain(endpoints: Iterable<LocalEndpoint>, family: IpFamily): Chain {
  const rules = [...endpoints].flatMap((endpoint) =>
    endpoint.allowedSourcePrefixes
      .filter((prefix) => prefixFamily(prefix) === family)
      .map((prefix) => ({
        match: [interfaceIs("in", endpoint.interfaceName), net("source", prefix)],
        action: accepts,
      })),
  );
  return { name: chains.rpfSkip, rules };
}

/** Before policy: a connection that policy let begin goes on when policy changes. */
function conntrackRules(allow: Action, config: RulesConfig): Rule[] {
  const match = [conntrackState(["RELATED", "ESTABLISHED"])];
  const rules: Rule[] = [];
  if (allow.kind !== "accept") rules.push({ match, action: setMark(config.marks.accept) });
  rules.push({ match, action: allow });
  if (!config.disableConntrackInvalidCheck) {
    rules.push({ match: [conntrackState(["INVALID"])], action: filterDeny(config) });
  }
  return rules;
}

/** A pod that wraps its packets itself could reach what its policy denies. */
function encapsulatedDrops(config: RulesConfig): Rule[] {
  const drop = (match: readonly Match[], what: string): Rule => ({
    match,
    action: filterDeny(config),
    comments: [`${denyWord(config)} ${what} encapped packets originating in workloads`],
  });
  const udpOf = (to: number) => [protocol(protocolNumber.udp), port("destination", to)];
  const vxlan = udpOf(config.vxlanPort);
  const { udpTunnel, ip6Tunnels } = config;
  const hasIp6Tunnels = Object.keys(ip6Tunnels).length > 0;
  return [
    ...(config.allowVxlanPacketsFromWorkloads ? [] : [drop(vxlan, "VXLAN")]),
    ...(udpTunnel === undefined ? [] : [drop(udpOf(udpTunnel.port), "UDP tunnel")]),
    ...(config.allowIpipPacketsFromWorkloads
      ? []
      : [drop([protocol(protocolNumber.ipip)], "IPinIP")]),
    ...(hasIp6Tunnels ? [drop([protocol(protocolNumber.ipv6)], "IPv6inIP")] : []),
  ];
}

function tierRules(
  tier: EndpointTier,
  { direction, stage }: EndpointChain,
  { policies, config }: EndpointContext,
): Rule[] {
  const { accept, pass } = config.marks;
  const groups = groupPolicies(tier[direction], direction, policies);
  if (groups.length === 0) return [];
  const rules: Rule[] = [
    { match: [], action: clearMark(pass), comments: [`Start of tier ${tier.name}`] },
  ];
  for (const group of groups) {
    rules.push(
      { match: [markClear(pass)], action: jump(groupTarget(group)) },
      ...(stage === "untracked" ? [untrack(accept)] : []),
      { match: [markSet(accept)], action: returns, comments: ["Return if policy accepted"] },
    );
  }
  const mayDrop = stage === "normal" || stage === "forward";
  if (mayDrop && tier.defaultAction !== "Pass") {
    const match = [markClear(pass)];
    const comment = `End of tier ${tier.name}. ${denyWord(config)} if no policies passed packet`;
    rules.push(...denialLog(direction, endOfTierPrefix(direction, tier.name), match, config), {
      match,
      action: filterDeny(config),
      comments: [comment],
    });
  }
  return rules;
}

function untrack(accept: number): Rule {
  return { match: [markSet(accept)], action: { kind: "noTrack" } };
}

function profileRules(profile: string, direction: Direction, config: RulesConfig): Rule[] {
  return [
    { match: [], action: jump(profileChainName(profile, direction)) },
    {
      match: [markSet(config.marks.accept)],
      action: returns,
      comments: ["Return if profile accepted"],
    },
  ];
}
