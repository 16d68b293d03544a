import { createHash } from "node:crypto";
import type { Chain, Rule } from "../../kernel/iptables/model.ts";
import { maxChainNameLength } from "../../kernel/iptables/render.ts";
import type { ActivePolicy, EndpointTier } from "../calc/updates.ts";
import { union } from "./mark-bits.ts";
import { jump, markClear, markNotClear, returns } from "./match.ts";
import { type Direction, policyChainName } from "./names.ts";
import type { RulesConfig } from "./rules-config.ts";

/**
 * Neighbours in a tier's order that have one selector apply to the same endpoints: those endpoints
 * share one chain that jumps to each (facts 4.6, 4.19).
 */
export interface PolicyGroup {
  readonly direction: Direction;
  readonly selector: string;
  /** Policy ids, in order of evaluation. */
  readonly policies: readonly string[];
}

/** Jumps between two looks at the verdict. */
const returnStride = 5;

const prefixes: Readonly<Record<Direction, string>> = { ingress: "cali-gi-", egress: "cali-go-" };
/** As Calico calls them when it hashes. */
const hashedDirections: Readonly<Record<Direction, string>> = {
  ingress: "inbound",
  egress: "outbound",
};

/** Splits the ordered `ids` of one tier. An unknown policy is a group of its own. */
export function groupPolicies(
  ids: readonly string[],
  direction: Direction,
  policies: ReadonlyMap<string, ActivePolicy>,
): PolicyGroup[] {
  const groups: { direction: Direction; selector: string; policies: string[] }[] = [];
  let last: string | undefined;
  for (const id of ids) {
    const selector = policies.get(id)?.selector;
    const open = groups.at(-1);
    if (open !== undefined && selector !== undefined && selector === last) open.policies.push(id);
    else groups.push({ direction, selector: selector ?? "", policies: [id] });
    last = selector;
  }
  return groups;
}

/** The chains that an endpoint jumps to for one group: the group's, or that of its one policy. */
export function groupTarget(group: PolicyGroup): string {
  const [only, ...others] = group.policies;
  return only !== undefined && others.length === 0
    ? policyChainName(only, group.direction)
    : groupChainName(group);
}

/** Chains of all groups of an endpoint's tiers that have one. Equal groups are one chain. */
export function endpointGroupChains(
  tiers: readonly EndpointTier[],
  policies: ReadonlyMap<string, ActivePolicy>,
  config: RulesConfig,
): Chain[] {
  return tiers
    .flatMap((tier) => [
      ...groupPolicies(tier.ingress, "ingress", policies),
      ...groupPolicies(tier.egress, "egress", policies),
    ])
    .filter((group) => group.policies.length > 1)
    .map((group) => groupChain(group, config));
}

function groupChain(group: PolicyGroup, config: RulesConfig): Chain {
  const verdict = union(config.marks.pass, config.marks.accept);
  const rules = group.policies.flatMap((id, i): Rule[] => {
    const action = jump(policyChainName(id, group.direction));
    if (i % returnStride !== 0) return [{ match: [markClear(verdict)], action }];
    if (i === 0) return [{ match: [], action }];
    const back: Rule = {
      match: [markNotClear(verdict)],
      action: returns,
      comments: ["Return on verdict"],
    };
    return [back, { match: [], action }];
  });
  return { name: groupChainName(group), rules };
}

function groupChainName(group: PolicyGroup): string {
  const prefix = prefixes[group.direction];
  const lines = [
    group.selector,
    hashedDirections[group.direction],
    `${group.policies.length}`,
    ...group.policies,
  ];
  const hash = createHash("sha3-224");
  for (const line of lines) hash.update(`${line}\n`);
  return prefix + hash.digest("base64url").slice(0, maxChainNameLength - prefix.length);
}
