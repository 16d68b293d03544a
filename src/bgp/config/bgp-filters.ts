import type {
  BGPFilter,
  BGPFilterOperation,
  BGPFilterRule,
  BGPFilterSpec,
} from "../../api/resources/bgp-filter.ts";
import { parseAsn } from "../../lib/asn.ts";
import { errorMessage } from "../../lib/errors.ts";
import { addressBits, type IpFamily } from "../../lib/ip-addr.ts";
import { parsePrefix, prefixLength } from "../../lib/prefix.ts";
import type {
  Community,
  FilterRule,
  PeerPolicy,
  RouteFilter,
  RouteOperation,
} from "../policy/peer-policy.ts";
import { communityOf } from "./communities.ts";

/** Filters of one peer, as its policy holds them. Empty lists are left out. */
export type PeerFilters = Pick<PeerPolicy, "importFilters" | "exportFilters">;

/** Converts BGPFilters, each once: equal names give the same objects. */
export class BgpFilters {
  readonly #filters: ReadonlyMap<string, BGPFilter>;
  readonly #converted = new Map<string, ConvertedFilter>();

  constructor(filters: ReadonlyMap<string, BGPFilter>) {
    this.#filters = filters;
  }

  /**
   * The filters of a peer, in order (facts 5.9).
   *
   * Differs from upstream, which passes over a filter that it does not find: what the filter was to
   * hold back would be told. Here the peer is kept down.
   *
   * @throws {SyntaxError} that names the filter that is missing or cannot be read.
   */
  of(names: readonly string[]): PeerFilters {
    const converted = names.map((name) => this.#convert(name));
    const importFilters = converted.flatMap(({ imports }) => imports);
    const exportFilters = converted.flatMap(({ exports }) => exports);
    return {
      ...(importFilters.length === 0 ? {} : { importFilters }),
      ...(exportFilters.length === 0 ? {} : { exportFilters }),
    };
  }

  #convert(name: string): ConvertedFilter {
    const known = this.#converted.get(name);
    if (known !== undefined) return known;
    const filter = this.#filters.get(name);
    if (filter === undefined) {
      throw new SyntaxError(`BGPFilter "${name}" does not exist or is not valid`);
    }
    try {
      const converted = routeFilters(name, filter.spec);
      this.#converted.set(name, converted);
      return converted;
    } catch (error) {
      throw new SyntaxError(`BGPFilter "${name}" cannot be read: ${errorMessage(error)}`);
    }
  }
}

interface ConvertedFilter {
  /** At most one of each family, so that rules are counted as the BGPFilter's lists are. */
  readonly imports: readonly RouteFilter[];
  readonly exports: readonly RouteFilter[];
}

function routeFilters(name: string, spec: BGPFilterSpec): ConvertedFilter {
  const filterOf = (family: IpFamily, rules: readonly BGPFilterRule[] = []): RouteFilter[] =>
    rules.length === 0 ? [] : [{ name, rules: rules.map((rule) => ruleOf(rule, family)) }];
  return {
    imports: [...filterOf(4, spec.importV4), ...filterOf(6, spec.importV6)],
    exports: [...filterOf(4, spec.exportV4), ...filterOf(6, spec.exportV6)],
  };
}

function ruleOf(rule: BGPFilterRule, family: IpFamily): FilterRule {
  const { source, peerType, communities, asPathPrefix = [], priority, operations = [] } = rule;
  const match = matchOf(rule, family);
  return {
    family,
    ...(match === undefined ? {} : { match }),
    ...(source === "RemotePeers" ? { source: "remotePeers" } : {}),
    ...(rule.interface ? { interface: rule.interface } : {}),
    ...(peerType ? { peerType } : {}),
    ...(communities === undefined ? {} : { communities: communities.values.map(communityOf) }),
    ...(asPathPrefix.length === 0 ? {} : { asPathPrefix: asPathPrefix.map(parseAsn) }),
    ...(priority === undefined ? {} : { priority }),
    action: rule.action === "Accept" ? "accept" : "reject",
    ...(operations.length === 0 ? {} : { operations: operations.map(operationOf) }),
  };
}

const operators = { Equal: "equal", NotEqual: "notEqual", In: "in", NotIn: "notIn" } as const;

/** Facts 5.17: with prefixLength, the length must lie within max(min, own) and min(max, 32 or 128). */
function matchOf(
  { cidr, matchOperator, prefixLength: lengths }: BGPFilterRule,
  family: IpFamily,
): FilterRule["match"] {
  if (!cidr) return undefined;
  if (!matchOperator) throw new SyntaxError(`CIDR "${cidr}" has no matchOperator`);
  const prefix = parsePrefix(cidr);
  const match = { prefix, operator: operators[matchOperator] };
  if (lengths === undefined) return match;
  const own = prefixLength(prefix);
  const most = addressBits[family];
  return {
    ...match,
    minLength: Math.max(lengths.min ?? own, own),
    maxLength: Math.min(lengths.max ?? most, most),
  };
}

function operationOf(operation: BGPFilterOperation): RouteOperation {
  if ("addCommunity" in operation) {
    const community: Community = communityOf(operation.addCommunity.value);
    return { kind: "addCommunity", community };
  }
  if ("prependASPath" in operation) {
    return { kind: "prependAsPath", asns: operation.prependASPath.prefix.map(parseAsn) };
  }
  return { kind: "setPriority", priority: operation.setPriority.value };
}
