import type {
  GlobalNetworkPolicy,
  NetworkPolicy,
  PolicyType,
  Profile,
  Tier,
} from "../api/resources/policy.ts";
import type { EntityRule, Rule, RulePort } from "../api/resources/rule.ts";
import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { evaluateSelector } from "../api/selector/evaluate.ts";
import { parseSelector } from "../api/selector/parser.ts";
import { compareText } from "../lib/collections.ts";
import type { IpAddr } from "../lib/ip-addr.ts";
import { parsePrefix, prefixHasAddress } from "../lib/prefix.ts";

/**
 * What the policies in the datastore say of one packet. Written apart from felix, straight from the
 * meaning of the resources (facts 2.5, 2.6, 4.2), so that `lab check` compares two opinions.
 */
export interface PolicyResources {
  readonly endpoints: readonly WorkloadEndpoint[];
  readonly policies: readonly (NetworkPolicy | GlobalNetworkPolicy)[];
  readonly tiers: readonly Tier[];
  readonly profiles: readonly Profile[];
}

export interface Packet {
  readonly source: Party;
  readonly destination: Party;
  readonly protocol: "ICMP" | "TCP" | "UDP";
  /** Destination port; 0 for ICMP. */
  readonly port: number;
}

/** One side of a packet. Without an endpoint it is a host or something outside. */
export interface Party {
  readonly address: IpAddr;
  readonly endpoint?: WorkloadEndpoint;
}

export interface Verdict {
  readonly allowed: boolean;
  /** Which tier, policy and rule, or profile, decided. */
  readonly because: string;
}

type Direction = PolicyType;
type Policy = NetworkPolicy | GlobalNetworkPolicy;

/** Both ends must agree: what the source may send, and what the destination may receive. */
export function judgePacket(packet: Packet, resources: PolicyResources): Verdict {
  const { source, destination } = packet;
  let verdict: Verdict = { allowed: true, because: "no endpoint has a say" };
  if (source.endpoint !== undefined) {
    verdict = judgeEndpoint(source.endpoint, "Egress", packet, resources);
  }
  if (!verdict.allowed || destination.endpoint === undefined) return verdict;
  return judgeEndpoint(destination.endpoint, "Ingress", packet, resources);
}

function judgeEndpoint(
  endpoint: WorkloadEndpoint,
  direction: Direction,
  packet: Packet,
  resources: PolicyResources,
): Verdict {
  for (const { tier, policies } of tiersOf(endpoint, direction, resources)) {
    const verdict = judgeTier(tier, policies, { direction, packet, resources });
    if (verdict !== "next tier") return verdict;
  }
  return judgeProfiles(endpoint, direction, packet, resources);
}

interface Context {
  readonly direction: Direction;
  readonly packet: Packet;
  readonly resources: PolicyResources;
}

function judgeTier(
  tier: { readonly name: string; readonly defaultAction: string },
  policies: readonly Policy[],
  context: Context,
): Verdict | "next tier" {
  for (const policy of policies) {
    const rules =
      (context.direction === "Ingress" ? policy.spec.ingress : policy.spec.egress) ?? [];
    for (const [index, rule] of rules.entries()) {
      if (rule.action === "Log" || !ruleMatches(rule, policy.metadata.namespace, context)) continue;
      if (rule.action === "Pass") return "next tier";
      const because = `${context.direction} rule ${index} of ${policy.metadata.name}`;
      return { allowed: rule.action === "Allow", because };
    }
  }
  if (tier.defaultAction === "Pass") return "next tier";
  return { allowed: false, because: `no ${context.direction} rule of tier ${tier.name} matched` };
}

function judgeProfiles(
  endpoint: WorkloadEndpoint,
  direction: Direction,
  packet: Packet,
  resources: PolicyResources,
): Verdict {
  for (const name of endpoint.spec.profiles ?? []) {
    const profile = resources.profiles.find(({ metadata }) => metadata.name === name);
    if (profile === undefined) return { allowed: false, because: `profile ${name} is missing` };
    const rules = (direction === "Ingress" ? profile.spec.ingress : profile.spec.egress) ?? [];
    for (const rule of rules) {
      if (rule.action === "Log") continue;
      if (!ruleMatches(rule, undefined, { direction, packet, resources })) continue;
      return { allowed: rule.action === "Allow", because: `profile ${name}` };
    }
  }
  return { allowed: false, because: "no profile matched" };
}

/** Tiers with a policy for this endpoint and direction, in order, each with its policies in order. */
function tiersOf(
  endpoint: WorkloadEndpoint,
  direction: Direction,
  resources: PolicyResources,
): { tier: { name: string; defaultAction: string }; policies: Policy[] }[] {
  const names = new Set(resources.policies.map(tierName));
  const tiers = [...names].map((name) => {
    const tier = resources.tiers.find(({ metadata }) => metadata.name === name);
    const policies = resources.policies
      .filter((policy) => tierName(policy) === name && typesOf(policy).includes(direction))
      .filter((policy) => policyApplies(policy, endpoint, resources))
      .sort((a, b) => byOrder(a, b) || compareText(policyOrderText(a), policyOrderText(b)));
    return { tier, name, policies };
  });
  return tiers
    .filter(({ policies }) => policies.length > 0)
    .sort(
      (a, b) =>
        Number(a.tier === undefined) - Number(b.tier === undefined) ||
        orderOf(a.tier?.spec.order) - orderOf(b.tier?.spec.order) ||
        compareText(a.name, b.name),
    )
    .map(({ tier, name, policies }) => ({
      tier: { name, defaultAction: tier?.spec.defaultAction ?? "Deny" },
      policies,
    }));
}

/** Large enough for any order that a user writes, small enough to be subtracted. */
function orderOf(order: number | undefined): number {
  return order ?? Number.MAX_VALUE / 2;
}

function byOrder(a: Policy, b: Policy): number {
  return orderOf(a.spec.order) - orderOf(b.spec.order);
}

function tierName(policy: Policy): string {
  return policy.spec.tier ?? "default";
}

function policyOrderText(policy: Policy): string {
  return `${policy.metadata.name}/${policy.metadata.namespace ?? ""}/${policy.kind}`;
}

function typesOf(policy: Policy): readonly PolicyType[] {
  const { types, ingress, egress } = policy.spec;
  if (types !== undefined && types.length > 0) return types;
  if ((egress ?? []).length === 0) return ["Ingress"];
  return (ingress ?? []).length === 0 ? ["Egress"] : ["Ingress", "Egress"];
}

function policyApplies(
  policy: Policy,
  endpoint: WorkloadEndpoint,
  resources: PolicyResources,
): boolean {
  const { spec } = policy;
  if (
    policy.kind === "NetworkPolicy" &&
    policy.metadata.namespace !== endpoint.metadata.namespace
  ) {
    return false;
  }
  if (!selects(spec.selector ?? "all()", labelsOf(endpoint, resources))) return false;
  if (
    spec.serviceAccountSelector !== undefined &&
    !selects(spec.serviceAccountSelector, inheritedLabels(endpoint, "pcsa.", resources))
  ) {
    return false;
  }
  const namespaceSelector = (spec as GlobalNetworkPolicy["spec"]).namespaceSelector;
  return (
    namespaceSelector === undefined ||
    selects(namespaceSelector, inheritedLabels(endpoint, "pcns.", resources))
  );
}

type Labels = ReadonlyMap<string, string>;

function selects(selector: string, labels: Labels): boolean {
  return evaluateSelector(parseSelector(selector), labels);
}

/** Own labels over those that the endpoint's profiles apply. */
function labelsOf(endpoint: WorkloadEndpoint, resources: PolicyResources): Labels {
  const labels = new Map<string, string>();
  for (const name of endpoint.spec.profiles ?? []) {
    const profile = resources.profiles.find(({ metadata }) => metadata.name === name);
    for (const [key, value] of Object.entries(profile?.spec.labelsToApply ?? {})) {
      labels.set(key, value);
    }
  }
  for (const [key, value] of Object.entries(endpoint.metadata.labels ?? {})) labels.set(key, value);
  return labels;
}

/** Labels of the endpoint's namespace ("pcns.") or service account ("pcsa."), under their own names. */
function inheritedLabels(
  endpoint: WorkloadEndpoint,
  prefix: "pcns." | "pcsa.",
  resources: PolicyResources,
): Labels {
  const labels = new Map<string, string>();
  for (const [key, value] of labelsOf(endpoint, resources)) {
    if (key.startsWith(prefix)) labels.set(key.slice(prefix.length), value);
  }
  return labels;
}

function ruleMatches(rule: Rule, namespace: string | undefined, context: Context): boolean {
  const { packet } = context;
  const version = packet.source.address.includes(":") ? 6 : 4;
  if (rule.ipVersion !== undefined && rule.ipVersion !== version) return false;
  if (rule.protocol !== undefined && !isProtocol(rule.protocol, packet)) return false;
  if (rule.notProtocol !== undefined && isProtocol(rule.notProtocol, packet)) return false;
  if (rule.icmp !== undefined && !icmpMatches(rule.icmp, packet)) return false;
  if (rule.notICMP !== undefined && icmpMatches(rule.notICMP, packet)) return false;
  return (
    partyMatches(rule.source ?? {}, packet.source, namespace, context.resources) &&
    partyMatches(rule.destination ?? {}, packet.destination, namespace, context.resources) &&
    sourcePortsMatch(rule.source ?? {}) &&
    portsMatch(rule.destination ?? {}, packet)
  );
}

const protocolNumbers: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};

function isProtocol(wanted: string | number, packet: Packet): boolean {
  const number = (value: string | number) =>
    typeof value === "number" ? value : (protocolNumbers[value.toLowerCase()] ?? Number(value));
  const icmp = packet.source.address.includes(":") ? "icmpv6" : "icmp";
  return number(wanted) === number(packet.protocol === "ICMP" ? icmp : packet.protocol);
}

/** The probes are echo requests: type 8, or 128 for IPv6; code 0. */
function icmpMatches(icmp: { type?: number; code?: number }, packet: Packet): boolean {
  const echo = packet.source.address.includes(":") ? 128 : 8;
  return (
    packet.protocol === "ICMP" &&
    (icmp.type === undefined || icmp.type === echo) &&
    (icmp.code === undefined || icmp.code === 0)
  );
}

function partyMatches(
  entity: EntityRule,
  party: Party,
  namespace: string | undefined,
  resources: PolicyResources,
): boolean {
  const inNet = (net: string) => prefixHasAddress(parsePrefix(net), party.address);
  if (entity.nets !== undefined && entity.nets.length > 0 && !entity.nets.some(inNet)) return false;
  if (entity.notNets?.some(inNet)) return false;
  if (entity.services !== undefined) return false;
  if (entity.notSelector !== undefined && party.endpoint !== undefined) {
    if (selects(entity.notSelector, labelsOf(party.endpoint, resources))) return false;
  }
  const { selector, namespaceSelector, serviceAccounts } = entity;
  const selective = selector !== undefined || namespaceSelector !== undefined || serviceAccounts;
  if (!selective && entity.notSelector === undefined) return true;
  if (!selective)
    return namespace === undefined || party.endpoint?.metadata.namespace === namespace;
  if (party.endpoint === undefined) return false;
  return endpointMatches(entity, party.endpoint, namespace, resources);
}

function endpointMatches(
  entity: EntityRule,
  endpoint: WorkloadEndpoint,
  namespace: string | undefined,
  resources: PolicyResources,
): boolean {
  const { selector, namespaceSelector, serviceAccounts } = entity;
  if (namespaceSelector === undefined) {
    const scoped = namespace !== undefined && selector !== undefined;
    if (scoped && endpoint.metadata.namespace !== namespace) return false;
  } else if (namespaceSelector.replaceAll(" ", "") === "global()") {
    return false;
  } else if (!selects(namespaceSelector, inheritedLabels(endpoint, "pcns.", resources))) {
    return false;
  }
  const account = endpoint.metadata.labels?.["projectcalico.org/serviceaccount"] ?? "";
  if (serviceAccounts?.names?.length && !serviceAccounts.names.includes(account)) return false;
  if (
    serviceAccounts?.selector !== undefined &&
    !selects(serviceAccounts.selector, inheritedLabels(endpoint, "pcsa.", resources))
  ) {
    return false;
  }
  return selector === undefined || selects(selector, labelsOf(endpoint, resources));
}

/** Probes come from any high port: a rule that asks for a source port is taken as not matching. */
function sourcePortsMatch(source: EntityRule): boolean {
  return (source.ports ?? []).length === 0;
}

function portsMatch(destination: EntityRule, packet: Packet): boolean {
  const { ports = [], notPorts = [] } = destination;
  if (ports.length > 0 && !ports.some((port) => portMatches(port, packet))) return false;
  return !notPorts.some((port) => portMatches(port, packet));
}

function portMatches(port: RulePort, packet: Packet): boolean {
  if (packet.protocol === "ICMP") return false;
  if (typeof port === "number") return port === packet.port;
  const range = /^(\d+):(\d+)$/.exec(port);
  if (range !== null) return Number(range[1]) <= packet.port && packet.port <= Number(range[2]);
  if (/^\d+$/.test(port)) return Number(port) === packet.port;
  return (packet.destination.endpoint?.spec.ports ?? []).some(
    (named) =>
      named.name === port && named.port === packet.port && isProtocol(named.protocol, packet),
  );
}
