import { parsePrefix, prefixFamily } from "../../lib/prefix.ts";
import type { EntityRule, Rule } from "../resources/rule.ts";
import { labels, net, port, protocol, selector } from "./fields.ts";
import { kubernetesPolicyFields } from "./kubernetes-schema.ts";
import {
  array,
  boolean,
  type Check,
  described,
  distinct,
  type Fields,
  integer,
  map,
  matching,
  mustBe,
  number,
  object,
  oneOf,
  type Report,
  refuse,
  shown,
  text,
} from "./schema.ts";

/** Rules and policies (facts 2.5). */

const maxRules = 1024;
const maxNets = 256;
const maxPorts = 50;
const maxHttpItems = 20;

const anySelector = selector({ global: true });

const portProtocols = ["TCP", "UDP", "SCTP", 6, 17, 132];

/** global() stands for what is in no namespace: nothing can be both. */
const namespacesOfRule = described({ ...anySelector.schema }, (value, path, report) => {
  const result = anySelector(value, path, report);
  if (typeof value === "string" && /global\(/.test(value) && !/^\s*global\(\)\s*$/.test(value)) {
    mustBe(report, path, "global() alone, or a selector without it", value);
  }
  return result;
});

/** Port 0 is no port that a packet has. */
const rulePort = described({ ...port.schema }, (value, path, report) => {
  if (value === 0 || (typeof value === "string" && /^0+(:|$)/.test(value))) {
    mustBe(report, path, "a port from 1 to 65535", value);
  }
  return port(value, path, report);
});

const entity = object({
  nets: array(net, maxNets),
  notNets: array(net, maxNets),
  selector: selector(),
  notSelector: selector(),
  namespaceSelector: namespacesOfRule,
  ports: array(rulePort, maxPorts),
  notPorts: array(rulePort, maxPorts),
  serviceAccounts: object({ names: array(text()), selector: selector() }),
  services: object({ name: text(), namespace: text() }, { required: ["name"] }),
});

const icmp = object(
  { type: integer(0, 254), code: integer(0, 255) },
  {
    refine: (value, path, report) => {
      if (value["code"] === undefined || value["type"] !== undefined) return;
      refuse(report, `${path}.code`, "may only be given with type");
    },
  },
);

const urlPath = matching(/^\/[^? #]*$/, 'a path that begins with "/", without "?", "#" and blanks');
const httpPath = object(
  { exact: urlPath, prefix: urlPath },
  {
    refine: (value, path, report) => {
      if (Object.keys(value).length === 1) return;
      refuse(report, path, "must be exactly one of exact and prefix");
    },
  },
);

const http = object({
  methods: distinct(array(text(), maxHttpItems)),
  paths: array(httpPath, maxHttpItems),
});

const ipVersion = described({ type: "integer", enum: [4, 6] }, (value, path, report) => {
  if (value !== 4 && value !== 6) refuse(report, path, `must be 4 or 6, got ${shown(value)}`);
  return value;
});

function rule(direction: "ingress" | "egress"): Check {
  return object(
    {
      action: oneOf("Allow", "Deny", "Log", "Pass"),
      ipVersion,
      protocol,
      notProtocol: protocol,
      icmp,
      notICMP: icmp,
      source: entity,
      destination: entity,
      http,
      metadata: object({ annotations: map(text()) }),
    },
    {
      required: ["action"],
      refine: (value, path, report) => {
        const given = value as unknown as Rule;
        checkProtocols(given, path, report);
        if (given.http !== undefined && direction === "egress") {
          refuse(report, `${path}.http`, "may only be in ingress rules");
        }
        checkEntities(given, path, report, direction);
        checkFamilies(given, path, report);
      },
    },
  );
}

function checkProtocols(given: Rule, path: string, report: Report): void {
  const { protocol: wanted, ipVersion } = given;
  const isIcmp = wanted === "ICMP" || wanted === "ICMPv6" || wanted === 1 || wanted === 58;
  for (const field of ["icmp", "notICMP"] as const) {
    if (given[field] === undefined || isIcmp) continue;
    refuse(report, `${path}.${field}`, "needs protocol ICMP or ICMPv6");
  }
  if (wanted === "ICMP" && ipVersion === 6) refuse(report, `${path}.ipVersion`, "is 6: ICMP is 4");
  if (wanted === "ICMPv6" && ipVersion === 4) {
    refuse(report, `${path}.ipVersion`, "is 4: ICMPv6 is 6");
  }
  if (given.http === undefined) return;
  if (given.action !== "Allow") refuse(report, `${path}.http`, "needs action Allow");
  if (wanted !== undefined && wanted !== "TCP" && wanted !== 6) {
    refuse(report, `${path}.http`, "needs protocol TCP");
  }
}

function checkEntities(
  given: Rule,
  path: string,
  report: Report,
  direction: "ingress" | "egress",
): void {
  for (const side of ["source", "destination"] as const) {
    const party = given[side];
    if (party === undefined) continue;
    const partyPath = `${path}.${side}`;
    for (const field of ["ports", "notPorts"] as const) {
      const ports = party[field] ?? [];
      const named = ports.every((item) => typeof item === "string" && !/^\d+(:\d+)?$/.test(item));
      if (ports.length === 0 || (named && given.protocol === undefined)) continue;
      if (portProtocols.includes(given.protocol ?? "")) continue;
      refuse(report, `${partyPath}.${field}`, "needs protocol TCP, UDP or SCTP");
    }
    if (party.services === undefined) continue;
    checkServices(party, partyPath, report);
    if ((direction === "ingress") === (side === "source")) continue;
    const place = direction === "ingress" ? "the source" : "the destination";
    refuse(report, `${partyPath}.services`, `may only be in ${place} of ${direction} rules`);
  }
}

function checkServices(party: EntityRule, path: string, report: Report): void {
  const excluded = ["selector", "notSelector", "namespaceSelector", "nets", "notNets"] as const;
  const ports = path.endsWith(".destination") ? (["ports", "notPorts"] as const) : [];
  for (const field of [...excluded, "serviceAccounts", ...ports] as const) {
    const value = party[field];
    if (value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) {
      continue;
    }
    refuse(report, `${path}.${field}`, "may not be given together with services");
  }
}

/** All CIDRs of a rule, and its ipVersion, are of one family; no negated match of everything. */
function checkFamilies(given: Rule, path: string, report: Report): void {
  let family: number | undefined = given.ipVersion;
  for (const side of ["source", "destination"] as const) {
    for (const field of ["nets", "notNets"] as const) {
      for (const [index, item] of (given[side]?.[field] ?? []).entries()) {
        const itemPath = `${path}.${side}.${field}[${index}]`;
        const prefix = parsePrefix(item);
        family ??= prefixFamily(prefix);
        if (prefixFamily(prefix) !== family) {
          refuse(report, itemPath, `is IPv${prefixFamily(prefix)}, the rule is IPv${family}`);
        }
        if (field === "notNets" && prefix.endsWith("/0")) {
          refuse(report, itemPath, `excludes everything, got ${shown(item)}`);
        }
      }
    }
  }
}

const policyFields: Fields = {
  tier: matching(/^$|^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "the name of a tier, a DNS label"),
  order: number,
  selector: selector(),
  types: distinct(array(oneOf("Ingress", "Egress"), 2)),
  ingress: array(rule("ingress"), maxRules),
  egress: array(rule("egress"), maxRules),
  serviceAccountSelector: selector(),
  performanceHints: array(oneOf("AssumeNeededOnEveryNode")),
};

export const networkPolicySpec: Check = object(policyFields);

const globalPolicyFields: Fields = {
  ...policyFields,
  namespaceSelector: selector(),
  doNotTrack: boolean,
  preDNAT: boolean,
  applyOnForward: boolean,
};

export const globalNetworkPolicySpec: Check = object(globalPolicyFields, {
  refine: checkGlobalPolicy,
});

function checkGlobalPolicy(value: Record<string, unknown>, path: string, report: Report): void {
  const { doNotTrack, preDNAT, applyOnForward, types, egress } = value;
  checkServiceNamespaces(value, path, report);
  if (doNotTrack === true && preDNAT === true) {
    refuse(report, `${path}.preDNAT`, "may not be true together with doNotTrack");
  }
  if ((doNotTrack === true || preDNAT === true) && applyOnForward !== true) {
    const field = preDNAT === true ? "preDNAT" : "doNotTrack";
    refuse(report, `${path}.applyOnForward`, `must be true when ${field} is`);
  }
  if (preDNAT !== true) return;
  if (((egress as unknown[] | undefined) ?? []).length > 0) {
    refuse(report, `${path}.egress`, "may not be given when preDNAT is true");
  }
  if (((types as unknown[] | undefined) ?? []).includes("Egress")) {
    refuse(report, `${path}.types`, "may not have Egress when preDNAT is true");
  }
}

/** A global policy is in no namespace in which a service could be looked for. */
function checkServiceNamespaces(
  value: Record<string, unknown>,
  path: string,
  report: Report,
): void {
  for (const direction of ["ingress", "egress"] as const) {
    const side = direction === "ingress" ? "source" : "destination";
    for (const [index, given] of ((value[direction] as Rule[] | undefined) ?? []).entries()) {
      const services = given[side]?.services;
      if (services === undefined || services.namespace) continue;
      const field = `${path}.${direction}[${index}].${side}.services.namespace`;
      refuse(report, field, "is required in a global policy");
    }
  }
}

const stagedAction = oneOf("Set", "Delete", "Learn", "Ignore");

/** A policy that is to be deleted has nothing but its tier. */
function checkStaged(value: Record<string, unknown>, path: string, report: Report): void {
  if (value["stagedAction"] !== "Delete") return;
  for (const [field, given] of Object.entries(value)) {
    if (field === "stagedAction" || field === "tier") continue;
    if (given === "" || (Array.isArray(given) && given.length === 0)) continue;
    refuse(report, `${path}.${field}`, "may not be given when stagedAction is Delete");
  }
}

export const stagedNetworkPolicySpec: Check = object(
  { ...policyFields, stagedAction },
  { refine: checkStaged },
);

export const stagedGlobalNetworkPolicySpec: Check = object(
  { ...globalPolicyFields, stagedAction },
  {
    refine: (...given) => {
      checkGlobalPolicy(...given);
      checkStaged(...given);
    },
  },
);

export const stagedKubernetesNetworkPolicySpec: Check = object(
  { ...kubernetesPolicyFields, stagedAction },
  { refine: checkStaged },
);

/** GlobalNetworkSet and NetworkSet. */
export const networkSetSpec: Check = object({ nets: array(net) });

export const profileSpec: Check = object({
  ingress: array(rule("ingress"), maxRules),
  egress: array(rule("egress"), maxRules),
  labelsToApply: labels,
});

export const tierSpec: Check = object({ order: number, defaultAction: oneOf("Deny", "Pass") });
