import type { EntityRule, Rule } from "../api/resources/rule.ts";
import { parseSelector } from "../api/selector/parser.ts";
import { errorMessage } from "../lib/errors.ts";
import { networkOf } from "./population.ts";
import { protocolNumber } from "./protocols.ts";
import { isGiven } from "./selection.ts";

const actions = ["Allow", "Deny", "Log", "Pass"];
const namedPortProtocols = [6, 17, 132];

/** Why a rule cannot be understood, whatever the packet; undefined when it can. */
export function unreadable(rule: Rule, namespace: string | undefined): string | undefined {
  if (!actions.includes(rule.action)) return `action: "${rule.action}"`;
  for (const field of ["protocol", "notProtocol"] as const) {
    const protocol = rule[field];
    if (protocol !== undefined && !isUpTo(255, protocolNumber(protocol))) {
      return `${field}: "${protocol}"`;
    }
  }
  for (const field of ["icmp", "notICMP"] as const) {
    const { type = 0, code = 0 } = rule[field] ?? {};
    if (!isUpTo(255, type) || !isUpTo(255, code)) return `${field}: type ${type}, code ${code}`;
  }
  for (const side of ["source", "destination"] as const) {
    try {
      readEntity(rule[side] ?? {}, rule, namespace);
    } catch (error) {
      return `${side}: ${errorMessage(error)}`;
    }
  }
  return undefined;
}

function readEntity(entity: EntityRule, rule: Rule, namespace: string | undefined): void {
  const { selector, notSelector, namespaceSelector, serviceAccounts, services } = entity;
  for (const text of [selector, notSelector, namespaceSelector, serviceAccounts?.selector]) {
    if (isGiven(text)) parseSelector(text);
  }
  for (const net of [...(entity.nets ?? []), ...(entity.notNets ?? [])]) networkOf(net);
  if (services !== undefined && !services.namespace && namespace === undefined) {
    throw new RangeError(`service "${services.name}" needs a namespace`);
  }
  const ports = [...(entity.ports ?? []), ...(entity.notPorts ?? [])];
  for (const port of ports) {
    const [, first, last = first] = /^(\d+)(?::(\d+))?$/.exec(String(port)) ?? [];
    if (first === undefined) continue;
    if (Number(first) > Number(last) || !isUpTo(65_535, Number(last))) {
      throw new RangeError(`port "${port}"`);
    }
  }
  const named = ports.find((port) => !/^\d+(:\d+)?$/.test(String(port)));
  const protocol = protocolNumber(rule.protocol ?? "tcp") ?? 0;
  if (named !== undefined && !namedPortProtocols.includes(protocol)) {
    throw new RangeError(`port "${named}" of a protocol without ports`);
  }
}

function isUpTo(most: number, value: number | undefined): boolean {
  return value !== undefined && Number.isInteger(value) && value >= 0 && value <= most;
}
