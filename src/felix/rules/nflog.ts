import { chainName } from "../../api/names.ts";
import type { Match, Rule } from "../../kernel/iptables/model.ts";
import type { Direction } from "./names.ts";
import type { RulesConfig } from "./rules-config.ts";

/**
 * Groups and prefixes of NFLOG rules, as Calico's flow logs have them (facts 4.7): who reads them
 * learns from the prefix alone what decided.
 */

export const nflogGroups: Readonly<Record<Direction, number>> = { ingress: 1, egress: 2 };

const letters: Readonly<Record<Direction, string>> = { ingress: "I", egress: "E" };
/** The kernel keeps 64 with the final NUL. */
const maxPrefixLength = 63;
const keptLength = 10;

/** Of a denying rule. `id` is the policy's; `index` counts from 0 in one direction of the policy. */
export function policyDenyPrefix(direction: Direction, index: number, id: string): string {
  return shortened(`DP${letters[direction]}${index}|${id}`);
}

export function profileDenyPrefix(direction: Direction, index: number, profile: string): string {
  return shortened(`DR${letters[direction]}${index}|${profile}`);
}

export function endOfTierPrefix(direction: Direction, tier: string): string {
  return shortened(`DP${letters[direction]}|${tier}`);
}

export function noProfilePrefix(direction: Direction): string {
  return `DR${letters[direction]}`;
}

/** Its own length is too long too: nobody can name a policy so that it looks hashed. */
function shortened(prefix: string): string {
  if (prefix.length < maxPrefixLength) return prefix;
  const hashed = chainName("", prefix, maxPrefixLength - 2 * keptLength - 1);
  return `${prefix.slice(0, keptLength)}${hashed}_${prefix.slice(-keptLength)}`;
}

/** The rule before one that denies what `match` matches: none unless denials are logged. */
export function denialLog(
  direction: Direction,
  prefix: string,
  match: readonly Match[],
  { denialLogLimit: limit }: RulesConfig,
): Rule[] {
  if (limit === undefined) return [];
  return [
    {
      match: [...match, { kind: "limit", ...limit }],
      action: { kind: "nflog", group: nflogGroups[direction], prefix },
    },
  ];
}
