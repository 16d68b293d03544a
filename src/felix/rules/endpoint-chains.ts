import type { Chain, Match, Rule } from "../../kernel/iptables/model.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import type { ActivePolicy, EndpointTier, LocalEndpoint } from "../calc/updates.ts";
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
import { groupPolicies, groupTarget } from "./policy-groups.ts";
import { denyWord, filterAllow, filterDeny, type RulesConfig } from "./rules-config.ts";

/**
 * The two chains of a pod: "cali-tw-" for what goes to it, "cali-fw-" for what it sends. The order
 * is contract (facts 4.6). Chains of policies, groups and profiles that they lead to are others'.
 */
export function workloadEndpointChains(
  endpoint: LocalEndpoint,
  policies: ReadonlyMap<string, ActivePolicy>,
  config: RulesConfig,
): Chain[] {
  return (["ingress", "egress"] as const).map((direction) => ({
    name: endpointChainName(endpoint.interfaceName, direction),
    rules: [
      ...conntrackRules(config),
      { match: [], action: clearMark(union(config.marks.accept, config.marks.pass)) },
      ...(direction === "egress" ? encapsulatedDrops(config) : []),
      ...endpoint.tiers.flatMap((tier) => tierRules(tier, { direction, policies, config })),
      ...endpoint.profiles.flatMap((profile) => profileRules(profile, direction, config)),
      {
        match: [],
        action: filterDeny(config),
        comments: [`${denyWord(config)} if no profiles matched`],
      },
    ],
  }));
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
function conntrackRules(config: RulesConfig): Rule[] {
  const match = [conntrackState(["RELATED", "ESTABLISHED"])];
  const allow = filterAllow(config);
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
  const vxlan = [protocol(protocolNumber.udp), port("destination", config.vxlanPort)];
  return [
    ...(config.allowVxlanPacketsFromWorkloads ? [] : [drop(vxlan, "VXLAN")]),
    ...(config.allowIpipPacketsFromWorkloads
      ? []
      : [drop([protocol(protocolNumber.ipip)], "IPinIP")]),
  ];
}

interface TierContext {
  readonly direction: Direction;
  readonly policies: ReadonlyMap<string, ActivePolicy>;
  readonly config: RulesConfig;
}

function tierRules(tier: EndpointTier, { direction, policies, config }: TierContext): Rule[] {
  const { accept, pass } = config.marks;
  const groups = groupPolicies(tier[direction], direction, policies);
  if (groups.length === 0) return [];
  const rules: Rule[] = [
    { match: [], action: clearMark(pass), comments: [`Start of tier ${tier.name}`] },
  ];
  for (const group of groups) {
    rules.push(
      { match: [markClear(pass)], action: jump(groupTarget(group)) },
      { match: [markSet(accept)], action: returns, comments: ["Return if policy accepted"] },
    );
  }
  if (tier.defaultAction !== "Pass") {
    rules.push({
      match: [markClear(pass)],
      action: filterDeny(config),
      comments: [`End of tier ${tier.name}. ${denyWord(config)} if no policies passed packet`],
    });
  }
  return rules;
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
