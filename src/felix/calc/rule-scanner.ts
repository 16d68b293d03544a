import { ipSetId } from "../../api/names.ts";
import type { EntityRule, Rule, RulePort } from "../../api/resources/rule.ts";
import { all, and, not, type Selector } from "../../api/selector/ast.ts";
import { canonicalText } from "../../api/selector/canonical.ts";
import { parseSelector } from "../../api/selector/parser.ts";
import { entitySelector } from "../../api/selector/scope.ts";
import { type Prefix, parseInterfaceAddress, prefixOf } from "../../lib/prefix.ts";
import type { PortRange, ProtocolMatch, ResolvedEntity, ResolvedRule } from "./updates.ts";

/** An IP set that rules refer to. Its id follows from what it holds (facts 4.3). */
export type SetSource =
  | { readonly kind: "selector"; readonly selector: Selector }
  | {
      readonly kind: "namedPort";
      readonly selector: Selector;
      readonly protocol: "tcp" | "udp" | "sctp";
      readonly port: string;
    }
  /** `service` is "<namespace>/<name>". */
  | { readonly kind: "service"; readonly service: string; readonly withPorts: boolean };

export interface ScannedRules {
  readonly rules: readonly ResolvedRule[];
  readonly sets: ReadonlyMap<string, SetSource>;
}

/**
 * Turns a policy's rules into what rendering needs, with selectors, named ports and services as IP sets.
 * `namespace` is that of a NetworkPolicy.
 *
 * A rule that cannot be resolved matches nothing if it would allow or log, and denies everything
 * otherwise: it fails closed.
 */
export function scanRules(rules: readonly Rule[], namespace: string | undefined): ScannedRules {
  const sets = new Map<string, SetSource>();
  const resolved = rules.flatMap((rule) => {
    try {
      const own = new Map<string, SetSource>();
      const result = resolveRule(rule, namespace, own);
      for (const [id, source] of own) sets.set(id, source);
      return [result];
    } catch {
      return rule.action === "Allow" || rule.action === "Log" ? [] : [denyAll];
    }
  });
  return { rules: resolved, sets };
}

/** Matches every packet. */
export const anyEntity: ResolvedEntity = {
  nets: [],
  notNets: [],
  ipSets: [],
  ipPortSets: [],
  notIpSets: [],
  ports: [],
  notPorts: [],
  namedPortSets: [],
  notNamedPortSets: [],
};

export const denyAll: ResolvedRule = { action: "deny", source: anyEntity, destination: anyEntity };

const actions = { Allow: "allow", Deny: "deny", Log: "log", Pass: "pass" } as const;

function resolveRule(
  rule: Rule,
  namespace: string | undefined,
  sets: Map<string, SetSource>,
): ResolvedRule {
  if (!Object.hasOwn(actions, rule.action)) {
    throw new RangeError(`Cannot use the action "${rule.action}"`);
  }
  const protocol = rule.protocol === undefined ? undefined : knownProtocol(rule.protocol);
  const entity = (side: "source" | "destination") => {
    const given = rule[side] ?? {};
    const resolved = resolveEntity(given, { namespace, protocol, sets });
    return withService(side, resolved, given.services, { namespace, sets });
  };
  const notProtocol = rule.notProtocol === undefined ? undefined : knownProtocol(rule.notProtocol);
  for (const icmp of [rule.icmp, rule.notICMP]) checkIcmp(icmp ?? {});
  return {
    action: actions[rule.action],
    ...(rule.ipVersion === undefined ? {} : { ipVersion: rule.ipVersion }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(notProtocol === undefined ? {} : { notProtocol }),
    ...(rule.icmp === undefined ? {} : { icmp: rule.icmp }),
    ...(rule.notICMP === undefined ? {} : { notIcmp: rule.notICMP }),
    source: entity("source"),
    destination: entity("destination"),
    ...(rule.metadata?.annotations === undefined ? {} : { annotations: rule.metadata.annotations }),
  };
}

/** As a resolved rule has it: a number, or a lower-case name. */
export function protocolOf(protocol: string | number): ProtocolMatch {
  if (typeof protocol !== "string") return protocol;
  return /^\d+$/.test(protocol) ? Number(protocol) : protocol.toLowerCase();
}

const protocolNames = new Set<ProtocolMatch>(["tcp", "udp", "icmp", "icmpv6", "sctp", "udplite"]);

/** @throws {RangeError} for one of which iptables would refuse the rule, and all others with it. */
function knownProtocol(protocol: string | number): ProtocolMatch {
  const known = protocolOf(protocol);
  if (typeof known === "number" ? isOctet(known) : protocolNames.has(known)) return known;
  throw new RangeError(`Cannot match protocol "${protocol}"`);
}

function checkIcmp({ type = 0, code = 0 }: NonNullable<Rule["icmp"]>): void {
  if (isOctet(type) && isOctet(code)) return;
  throw new RangeError(`Cannot match ICMP type ${type}, code ${code}`);
}

function isOctet(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 255;
}

interface EntityContext {
  readonly namespace: string | undefined;
  readonly protocol: ProtocolMatch | undefined;
  readonly sets: Map<string, SetSource>;
}

function resolveEntity(entity: EntityRule, context: EntityContext): ResolvedEntity {
  const wanted = entitySelector(entity, context.namespace);
  const unwanted = isGiven(entity.notSelector) ? parseSelector(entity.notSelector) : undefined;
  // What is selected at all can be held against both; only what is not needs a set of its own.
  const selector =
    wanted !== undefined && unwanted !== undefined ? and([wanted, not(unwanted)]) : wanted;
  const ports = splitPorts(entity.ports ?? []);
  const notPorts = splitPorts(entity.notPorts ?? []);
  // With named ports alone, the sets of ports hold only what the selector selects (facts 4.6).
  const folded = ports.named.length > 0 && ports.ranges.length === 0;
  // Negated ones too: the rule matches only what the selector selects.
  const named = (names: readonly string[]) =>
    names.map((port) => namedPortSet(port, selector ?? all, context));
  return {
    nets: (entity.nets ?? []).map(networkOf),
    notNets: (entity.notNets ?? []).map(networkOf),
    ipSets: selector === undefined || folded ? [] : [selectorSet(selector, context.sets)],
    ipPortSets: [],
    notIpSets:
      unwanted === undefined || wanted !== undefined ? [] : [selectorSet(unwanted, context.sets)],
    ports: ports.ranges,
    notPorts: notPorts.ranges,
    namedPortSets: named(ports.named),
    notNamedPortSets: named(notPorts.named),
  };
}

function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}

/** Host bits say nothing here: the kernel masks them too. */
function networkOf(text: string): Prefix {
  const { address, length } = parseInterfaceAddress(text);
  return prefixOf(address, length);
}

function selectorSet(selector: Selector, sets: Map<string, SetSource>): string {
  const id = ipSetId("s", canonicalText(selector));
  sets.set(id, { kind: "selector", selector });
  return id;
}

const portProtocols = new Map<ProtocolMatch, "tcp" | "udp" | "sctp">([
  ["tcp", "tcp"],
  ["udp", "udp"],
  ["sctp", "sctp"],
  [6, "tcp"],
  [17, "udp"],
  [132, "sctp"],
]);

/** The protocol, when it is one that has ports. `protocol` is as in a resolved rule. */
export function portProtocol(protocol: ProtocolMatch): "tcp" | "udp" | "sctp" | undefined {
  return portProtocols.get(protocol);
}

/**
 * Without a protocol in the rule, a named port is one of TCP.
 *
 * @throws {RangeError} for a protocol without ports: no set at all would match every packet.
 */
function namedPortSet(port: string, selector: Selector, context: EntityContext): string {
  const protocol = portProtocol(context.protocol ?? "tcp");
  if (protocol === undefined) {
    throw new RangeError(`Cannot match port "${port}": ${context.protocol} has no ports`);
  }
  const base = ipSetId("s", canonicalText(selector));
  const id = ipSetId("n", `${base},${protocol},${port}`);
  context.sets.set(id, { kind: "namedPort", selector, protocol, port });
  return id;
}

/**
 * A service is matched by the addresses and ports behind it where packets go to it, by the addresses
 * alone where they come from it (facts 4.3).
 *
 * @throws {RangeError} when the rule is of no namespace and the service's is not said.
 */
function withService(
  side: "source" | "destination",
  entity: ResolvedEntity,
  services: EntityRule["services"],
  { namespace, sets }: Pick<EntityContext, "namespace" | "sets">,
): ResolvedEntity {
  if (services === undefined) return entity;
  const ofNamespace = services.namespace || namespace;
  if (ofNamespace === undefined) {
    throw new RangeError(`Cannot match service "${services.name}": it needs a namespace`);
  }
  const service = `${ofNamespace}/${services.name}`;
  const withPorts = side === "destination";
  const id = ipSetId(withPorts ? "svc" : "svcnoport", service);
  sets.set(id, { kind: "service", service, withPorts });
  return withPorts
    ? { ...entity, ipPortSets: [...entity.ipPortSets, id] }
    : { ...entity, ipSets: [...entity.ipSets, id] };
}

function splitPorts(ports: readonly RulePort[]): { ranges: PortRange[]; named: string[] } {
  const ranges: PortRange[] = [];
  const named: string[] = [];
  for (const port of ports) {
    const range = /^(\d+)(?::(\d+))?$/.exec(String(port));
    if (range === null) {
      named.push(String(port));
      continue;
    }
    const [first, last] = [Number(range[1]), Number(range[2] ?? range[1])];
    if (first > last || last > 65_535) throw new RangeError(`Cannot match port "${port}"`);
    ranges.push({ first, last });
  }
  return { ranges, named };
}
