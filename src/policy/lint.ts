import type { EntityRule, Rule } from "../api/resources/rule.ts";
import { groupBy } from "../lib/collections.ts";
import { prefixContains } from "../lib/prefix.ts";
import type { Policy, PolicyCluster } from "./cluster.ts";
import { objectName } from "./object-name.ts";
import { networkOf, Population } from "./population.ts";
import { entityExcludes, entitySelects, isSelective } from "./selection.ts";
import { appliesTo, tierName, typesOf } from "./tiers.ts";
import { unreadable } from "./unreadable-rule.ts";
import type { Direction, ObjectName } from "./verdict.ts";
import { writtenRule } from "./written-rule.ts";

/** What is likely not what the author meant. */
export interface Finding {
  readonly check: LintCheck;
  readonly level: "error" | "warning" | "note";
  readonly object: ObjectName;
  /** "spec.ingress[0]". Absent: the object as a whole. */
  readonly path?: string;
  readonly message: string;
}

/** Every check, with what it means. */
export const lintChecks = {
  "unreadable-rule": "A rule that cannot be understood allows nothing, or denies everything.",
  "shadowed-rule":
    "An earlier rule of the policy decides about every packet that this one is about.",
  "unused-rules": "The policy has rules of a direction that its types leave out.",
  "selects-nothing": "The policy selects no endpoint.",
  "matches-nothing": "A selector of the rule finds no endpoint and no network set.",
  "unknown-port": "No endpoint has a port of this name.",
  "unknown-service": "No EndpointSlice is of this service.",
  "log-only":
    "The policy only logs in a direction: what it selects is dropped at the end of the tier.",
  "missing-tier": "The tier is not there: it comes last and denies.",
  "empty-tier": "The tier has no policies.",
  "equal-tiers": "Tiers of the same order are asked in order of their names.",
  "missing-profile": "An endpoint has a profile that is not there: it denies.",
  "ignored-http": "The http field is not looked at: the rule matches more than it says.",
} as const;
export type LintCheck = keyof typeof lintChecks;

/** All findings, those of policies first, in the order of the cluster. */
export function lint(cluster: PolicyCluster): Finding[] {
  const population = new Population(cluster);
  return [
    ...cluster.policies.flatMap((policy) => lintPolicy(policy, cluster, population)),
    ...lintTiers(cluster),
    ...lintProfiles(cluster),
  ];
}

function lintPolicy(policy: Policy, cluster: PolicyCluster, population: Population): Finding[] {
  const object = objectName(policy);
  const findings: Finding[] = [];
  const selected = population.all.some(
    (one) => one.resource.kind.endsWith("Endpoint") && appliesTo(policy, one),
  );
  if (!selected) {
    findings.push(
      finding("selects-nothing", object, `selector ${policy.spec.selector ?? "all()"}`),
    );
  }
  for (const direction of ["Ingress", "Egress"] as const) {
    const rules = rulesOf(policy, direction);
    if (rules.length > 0 && !typesOf(policy).includes(direction)) {
      findings.push(finding("unused-rules", object, `types has no ${direction}`));
    }
    if (rules.length > 0 && rules.every(({ action }) => action === "Log")) {
      findings.push(...logOnly(policy, direction, cluster));
    }
    const context = { policy, direction, cluster, population };
    for (const index of rules.keys()) findings.push(...lintRule(rules, index, context));
  }
  return findings;
}

function logOnly(policy: Policy, direction: Direction, cluster: PolicyCluster): Finding[] {
  const tier = cluster.tiers.find(({ metadata }) => metadata.name === tierName(policy));
  if (tier?.spec.defaultAction === "Pass") return [];
  return [finding("log-only", objectName(policy), `${direction} has only Log rules`)];
}

interface RuleContext {
  readonly policy: Policy;
  readonly direction: Direction;
  readonly cluster: PolicyCluster;
  readonly population: Population;
}

function lintRule(rules: readonly Rule[], index: number, context: RuleContext): Finding[] {
  const rule = rules[index];
  if (rule === undefined) return [];
  const { policy, direction } = context;
  const { path } = writtenRule(policy, direction, index);
  const at = (check: LintCheck, message: string) => ({
    ...finding(check, objectName(policy), message),
    path,
  });
  const namespace = policy.kind === "NetworkPolicy" ? policy.metadata.namespace : undefined;
  const problem = unreadable(rule, namespace);
  if (problem !== undefined) return [at("unreadable-rule", problem)];
  const findings: Finding[] = [];
  const covering = rules
    .slice(0, index)
    .findIndex((earlier) => unreadable(earlier, namespace) === undefined && covers(earlier, rule));
  if (covering >= 0) {
    const by = writtenRule(policy, direction, covering).path;
    findings.push(at("shadowed-rule", `${by} comes first and matches all of it`));
  }
  if (rule.http !== undefined) findings.push(at("ignored-http", "http is given"));
  for (const side of ["source", "destination"] as const) {
    const entity = rule[side] ?? {};
    for (const [check, message] of lintEntity(entity, namespace, context)) {
      findings.push(at(check, `${side}: ${message}`));
    }
  }
  return findings;
}

function lintEntity(
  entity: EntityRule,
  namespace: string | undefined,
  { cluster, population }: RuleContext,
): (readonly [LintCheck, string])[] {
  const found: (readonly [LintCheck, string])[] = [];
  if (isSelective(entity, namespace)) {
    const meant = population.all.some(
      ({ labels, nets }) =>
        nets.length > 0 &&
        entitySelects(entity, namespace, labels) &&
        !entityExcludes(entity, labels),
    );
    const { selector, notSelector, namespaceSelector, serviceAccounts } = entity;
    const given = JSON.stringify({ selector, notSelector, namespaceSelector, serviceAccounts });
    if (!meant) found.push(["matches-nothing", given]);
  }
  const known = new Set(
    cluster.endpoints.flatMap(({ spec }) => spec.ports ?? []).map((p) => p.name),
  );
  for (const port of [...(entity.ports ?? []), ...(entity.notPorts ?? [])]) {
    if (typeof port === "string" && !/^\d+(:\d+)?$/.test(port) && !known.has(port)) {
      found.push(["unknown-port", port]);
    }
  }
  const { services } = entity;
  if (services === undefined) return found;
  const place = services.namespace || namespace;
  const slices = cluster.endpointSlices.some(
    ({ metadata }) =>
      metadata.namespace === place &&
      metadata.labels?.["kubernetes.io/service-name"] === services.name,
  );
  if (!slices) found.push(["unknown-service", `${place}/${services.name}`]);
  return found;
}

/** Whether every packet that `later` is about is decided by `earlier`, as far as the fields tell. */
function covers(earlier: Rule, later: Rule): boolean {
  if (earlier.action === "Log") return false;
  const same = (field: keyof Rule) =>
    earlier[field] === undefined || JSON.stringify(earlier[field]) === JSON.stringify(later[field]);
  const fields = ["ipVersion", "protocol", "notProtocol", "icmp", "notICMP"] as const;
  return (
    fields.every(same) &&
    coversEntity(earlier.source ?? {}, later.source ?? {}) &&
    coversEntity(earlier.destination ?? {}, later.destination ?? {})
  );
}

function coversEntity(earlier: EntityRule, later: EntityRule): boolean {
  const { nets: earlierNets = [], ports: earlierPorts = [], ...rest } = earlier;
  const { nets: laterNets = [], ports: laterPorts = [], ...laterRest } = later;
  const wide = earlierNets.map(networkOf);
  const netsCovered =
    wide.length === 0 ||
    (laterNets.length > 0 &&
      laterNets.map(networkOf).every((net) => wide.some((one) => prefixContains(one, net))));
  const texts = earlierPorts.map(String);
  const portsCovered =
    texts.length === 0 ||
    (laterPorts.length > 0 && laterPorts.every((port) => texts.includes(String(port))));
  const others = Object.entries(rest).every(
    ([field, value]) =>
      isEmpty(value) ||
      JSON.stringify(value) === JSON.stringify(laterRest[field as keyof typeof laterRest]),
  );
  // Without a namespaceSelector the policy's namespace limits other selectors: none is not any.
  const limited = !isEmpty(rest.selector ?? rest.notSelector ?? rest.serviceAccounts);
  const sameNamespaces = (rest.namespaceSelector ?? "") === (laterRest.namespaceSelector ?? "");
  return netsCovered && portsCovered && others && (!limited || sameNamespaces);
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
}

function lintTiers({ tiers, policies }: PolicyCluster): Finding[] {
  const findings: Finding[] = [];
  const names = new Set(tiers.map(({ metadata }) => metadata.name));
  for (const policy of policies.filter((one) => !names.has(tierName(one)))) {
    findings.push(finding("missing-tier", objectName(policy), `tier ${tierName(policy)}`));
  }
  const used = new Set(policies.map(tierName));
  for (const tier of tiers.filter(({ metadata }) => !used.has(metadata.name))) {
    findings.push(finding("empty-tier", objectName(tier), "no policy is in it", "note"));
  }
  for (const [order, equal] of groupBy(tiers, ({ spec }) => spec.order ?? "none")) {
    const [first, ...others] = equal.filter(({ metadata }) => used.has(metadata.name));
    for (const tier of others) {
      const message = `order ${order}, as ${first?.metadata.name}`;
      findings.push(finding("equal-tiers", objectName(tier), message));
    }
  }
  return findings;
}

function lintProfiles({ endpoints, hostEndpoints, profiles }: PolicyCluster): Finding[] {
  const names = new Set(profiles.map(({ metadata }) => metadata.name));
  return [...endpoints, ...hostEndpoints].flatMap((endpoint) =>
    (endpoint.spec.profiles ?? [])
      .filter((name) => !names.has(name))
      .map((name) => finding("missing-profile", objectName(endpoint), `profile ${name}`, "error")),
  );
}

function rulesOf(policy: Policy, direction: Direction): readonly Rule[] {
  return (direction === "Ingress" ? policy.spec.ingress : policy.spec.egress) ?? [];
}

const errors: readonly LintCheck[] = ["unreadable-rule", "missing-tier", "missing-profile"];

function finding(
  check: LintCheck,
  object: ObjectName,
  message: string,
  level: Finding["level"] = errors.includes(check) ? "error" : "warning",
): Finding {
  return { check, level, object, message };
}
