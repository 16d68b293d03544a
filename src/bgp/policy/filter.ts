import { addressBits, type IpFamily } from "../../lib/ip-addr.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import { PrefixList } from "../rib/packed-prefix.ts";
import type { PackedPrefixes, PathAttributes } from "../wire/message.ts";
import { localPrefOfMetric } from "./metric.ts";
import type { Community, FilterRule, RouteFilter, RouteOperation } from "./peer-policy.ts";
import type { RouteSource } from "./route-reflection.ts";

/** A route as filters see it: prefix `index` of `prefixes`. */
export interface FilterRoute {
  readonly prefixes: PackedPrefixes;
  readonly index: number;
  readonly attributes: PathAttributes;
  readonly learned: RouteSource["learned"];
  /** As the route is used, with the default of routes that carry none. */
  readonly localPref: number;
  /** Name of the interface through which its next hop is reached. */
  readonly interface?: string | undefined;
}

/** The rule that decided. */
export interface FilterVerdict {
  readonly accepted: boolean;
  readonly filter: string;
  /** From 1. */
  readonly rule: number;
  readonly operations: readonly RouteOperation[];
}

type Condition = (route: FilterRoute) => boolean;

interface CompiledRule {
  readonly conditions: readonly Condition[];
  readonly verdict: FilterVerdict;
}

/**
 * The filters of one peer in one direction (facts 5.9, 5.17). In order; in one filter the first rule
 * that matches decides for good; where no rule matches the next filter is asked. A rule applies when
 * all of its conditions hold. Compiled once: prefixes are compared as words, `peerType` is known.
 */
export class RouteFilters {
  readonly #rules: Readonly<Record<IpFamily, readonly CompiledRule[]>>;

  constructor(filters: readonly RouteFilter[], peer: { readonly external: boolean }) {
    const of = (family: IpFamily) =>
      filters.flatMap((filter) => compileFilter(filter, family, peer.external));
    this.#rules = { 4: of(4), 6: of(6) };
  }

  /** Undefined when no rule matches. */
  decide(route: FilterRoute): FilterVerdict | undefined {
    for (const { conditions, verdict } of this.#rules[route.prefixes.family]) {
      if (conditions.every((holds) => holds(route))) return verdict;
    }
    return undefined;
  }
}

/** For those who ask which rule it was. */
export function filterText({
  filter,
  rule,
}: Pick<FilterVerdict, "filter" | "rule">): `filter ${string}` {
  return `filter ${filter} rule ${rule}`;
}

function compileFilter(
  { name, rules }: RouteFilter,
  family: IpFamily,
  external: boolean,
): CompiledRule[] {
  const peerType = external ? "eBGP" : "iBGP";
  const compiled = rules.map((rule, index): CompiledRule | undefined => {
    if (familyOf(rule) !== undefined && familyOf(rule) !== family) return undefined;
    if (rule.peerType !== undefined && rule.peerType !== peerType) return undefined;
    const accepted = rule.action === "accept";
    const operations = accepted ? (rule.operations ?? []) : [];
    return {
      conditions: conditionsOf(rule, family),
      verdict: { accepted, filter: name, rule: index + 1, operations },
    };
  });
  return compiled.filter((rule) => rule !== undefined);
}

function familyOf({ family, match }: FilterRule): IpFamily | undefined {
  return family ?? (match === undefined ? undefined : prefixFamily(match.prefix));
}

function conditionsOf(rule: FilterRule, family: IpFamily): Condition[] {
  const { match, source, interface: pattern, communities = [], asPathPrefix, priority } = rule;
  return [
    ...(match === undefined ? [] : [prefixCondition(match, family)]),
    ...(source === undefined ? [] : [({ learned }: FilterRoute) => learned !== "local"]),
    ...(pattern === undefined ? [] : [interfaceCondition(pattern)]),
    ...communities.map(communityCondition),
    ...(asPathPrefix === undefined ? [] : [pathCondition(asPathPrefix)]),
    ...(priority === undefined ? [] : [priorityCondition(priority)]),
  ];
}

/**
 * "in" means equal or more specific, and of a length from max(minLength, own length) to
 * min(maxLength, 32 or 128); the operators with "not" are the opposite.
 */
function prefixCondition(
  { prefix, operator, minLength = 0, maxLength = 128 }: NonNullable<FilterRule["match"]>,
  family: IpFamily,
): Condition {
  if (prefixFamily(prefix) !== family) return () => false;
  const list = new PrefixList([prefix]);
  const longest = Math.min(maxLength, addressBits[family]);
  const isIn: Condition = ({ prefixes, index }) => {
    const length = prefixes.lengths[index] as number;
    return length >= minLength && length <= longest && list.covers(prefixes, index);
  };
  const isEqual: Condition = ({ prefixes, index }) => list.compare(prefixes, index) === "equal";
  switch (operator) {
    case "in":
      return isIn;
    case "notIn":
      return (route) => !isIn(route);
    case "equal":
      return isEqual;
    case "notEqual":
      return (route) => !isEqual(route);
  }
}

function interfaceCondition(pattern: string): Condition {
  if (!pattern.endsWith("*")) return (route) => route.interface === pattern;
  const start = pattern.slice(0, -1);
  return (route) => route.interface?.startsWith(start) === true;
}

function communityCondition(community: Community): Condition {
  if (typeof community === "number") {
    return ({ attributes }) => attributes.communities?.includes(community) === true;
  }
  const [admin, one, two] = community;
  return ({ attributes }) =>
    attributes.largeCommunities?.some(([a, b, c]) => a === admin && b === one && c === two) ===
    true;
}

function pathCondition(leading: readonly number[]): Condition {
  return ({ attributes }) => {
    const asns = leadingAsns(attributes);
    return leading.every((asn, index) => asns[index] === asn);
  };
}

/** The ASes whose order is known: up to the first set, without confederations. */
function leadingAsns({ asPath }: PathAttributes): readonly number[] {
  const asns: number[] = [];
  for (const segment of asPath) {
    if (segment.kind === "set") break;
    if (segment.kind === "sequence") asns.push(...segment.asns);
  }
  return asns;
}

/** A metric stands in LOCAL_PREF (facts 5.17 step 1). */
function priorityCondition(priority: number): Condition {
  const wanted = localPrefOfMetric(priority);
  return ({ localPref }) => localPref === wanted;
}
