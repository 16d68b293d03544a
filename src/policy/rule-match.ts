import type { EndpointSlice } from "../api/resources/kubernetes.ts";
import { serviceNameLabel } from "../api/resources/kubernetes.ts";
import type { EntityRule, IcmpMatch, Rule, RulePort } from "../api/resources/rule.ts";
import { type IpAddr, ipFamily, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { prefixFamily, prefixHasAddress, prefixLength } from "../lib/prefix.ts";
import { objectName } from "./object-name.ts";
import type { Packet } from "./packet.ts";
import { type Labelled, networkOf, type Population } from "./population.ts";
import { hasPorts, protocolName, protocolNumber } from "./protocols.ts";
import { entityExcludes, entitySelects, isGiven, isSelective } from "./selection.ts";
import type { SelectorMatch } from "./verdict.ts";

/** What a rule is held against. */
export interface RuleContext {
  readonly packet: Packet;
  readonly population: Population;
  readonly endpointSlices: readonly EndpointSlice[];
  /** Of a NetworkPolicy. */
  readonly namespace: string | undefined;
}

export type RuleMatch =
  | { readonly matches: true; readonly selectors: readonly SelectorMatch[] }
  /** `why` names the field. */
  | { readonly matches: false; readonly why: string };

/**
 * Whether a rule is about the packet: every field that is given must hold (facts 2.5, 4.6). The rule is
 * one that can be understood (unreadable-rule.ts).
 */
export function matchRule(rule: Rule, context: RuleContext): RuleMatch {
  const { packet } = context;
  const why = headMismatch(rule, packet);
  if (why !== undefined) return { matches: false, why };
  const selectors: SelectorMatch[] = [];
  for (const side of ["source", "destination"] as const) {
    const problem = new SideMatch(rule, side, context).mismatch(selectors);
    if (problem !== undefined) return { matches: false, why: `${side}.${problem}` };
  }
  return { matches: true, selectors };
}

function headMismatch(rule: Rule, packet: Packet): string | undefined {
  const version = ipFamily(packet.source);
  if (rule.ipVersion !== undefined && rule.ipVersion !== version) return `ipVersion: is ${version}`;
  const name = protocolName(packet.protocol);
  if (rule.protocol !== undefined && protocolNumber(rule.protocol) !== packet.protocol) {
    return `protocol: is ${name}`;
  }
  if (rule.notProtocol !== undefined && protocolNumber(rule.notProtocol) === packet.protocol) {
    return `notProtocol: is ${name}`;
  }
  if (rule.icmp !== undefined && !isIcmp(rule.icmp, packet)) return "icmp: type or code differs";
  if (rule.notICMP?.type !== undefined && isIcmp(rule.notICMP, packet)) return "notICMP: is that";
  return undefined;
}

function isIcmp({ type, code }: IcmpMatch, { icmp }: Packet): boolean {
  if (type === undefined) return true;
  return icmp !== undefined && icmp.type === type && (code === undefined || icmp.code === code);
}

/** One side of a rule against one end of the packet. */
class SideMatch {
  readonly #entity: EntityRule;
  readonly #context: RuleContext;
  readonly #side: "source" | "destination";
  readonly #address: IpAddr;
  readonly #port: number | undefined;
  readonly #portProtocol: number;

  constructor(rule: Rule, side: "source" | "destination", context: RuleContext) {
    const { packet } = context;
    this.#entity = rule[side] ?? {};
    this.#context = context;
    this.#side = side;
    this.#address = packet[side];
    this.#port = hasPorts(packet.protocol)
      ? side === "source"
        ? packet.sourcePort
        : packet.destinationPort
      : undefined;
    // A named port is one of TCP unless the rule says otherwise.
    this.#portProtocol = protocolNumber(rule.protocol ?? "tcp") ?? 0;
  }

  /** Why it does not match. What its selectors found goes to `found`. */
  mismatch(found: SelectorMatch[]): string | undefined {
    const net = this.#netMismatch();
    if (net !== undefined) return net;
    const service = this.#serviceMismatch();
    if (service !== undefined) return service;
    const { namespace, population } = this.#context;
    const here = population.at(this.#address);
    const selective = isSelective(this.#entity, namespace);
    const meant = here.filter(
      ({ labels }) =>
        (!selective || entitySelects(this.#entity, namespace, labels)) &&
        !entityExcludes(this.#entity, labels),
    );
    if (selective && meant.length === 0) return this.#selectorMismatch(here);
    if (!selective && meant.length < here.length) return `notSelector: ${this.#entity.notSelector}`;
    if (selective) found.push(...this.#selectorsOf(meant));
    return this.#portMismatch(selective ? meant : here);
  }

  #netMismatch(): string | undefined {
    const { nets = [], notNets = [] } = this.#entity;
    const [inside, outside] = [nets.map(networkOf), notNets.map(networkOf)];
    const holds = (net: (typeof inside)[number]) => prefixHasAddress(net, this.#address);
    if (inside.length > 0 && !inside.some(holds)) {
      return `nets: ${this.#address} is in none of ${nets.join(", ")}`;
    }
    const excluding = outside.find(
      (net) =>
        holds(net) || (prefixLength(net) === 0 && prefixFamily(net) === ipFamily(this.#address)),
    );
    return excluding === undefined ? undefined : `notNets: ${this.#address} is in ${excluding}`;
  }

  #serviceMismatch(): string | undefined {
    const { services } = this.#entity;
    if (services === undefined) return undefined;
    const namespace = services.namespace || this.#context.namespace;
    const slices = this.#context.endpointSlices.filter(
      ({ metadata }) =>
        metadata.namespace === namespace && metadata.labels?.[serviceNameLabel] === services.name,
    );
    return slices.some((slice) => this.#isBehind(slice))
      ? undefined
      : `services: ${this.#address} is not behind ${namespace}/${services.name}`;
  }

  /** Where packets go to a service, its port counts too. */
  #isBehind(slice: EndpointSlice): boolean {
    const addresses = (slice.endpoints ?? []).flatMap(({ addresses: texts = [] }) => texts);
    const isHere = (text: string) => isIpAddr(text) && parseIpAddr(text) === this.#address;
    if (!addresses.some(isHere)) return false;
    if (this.#side === "source") return true;
    if (this.#port === undefined) return false;
    return (slice.ports ?? []).some(
      ({ port, protocol = "TCP" }) =>
        port === this.#port && protocolNumber(protocol) === this.#context.packet.protocol,
    );
  }

  #selectorMismatch(here: readonly Labelled[]): string {
    const who =
      here.length === 0
        ? `${this.#address} is no endpoint and in no network set`
        : `not ${here.map(({ resource }) => objectName(resource).name).join(", ")}`;
    return `${selectorFields(this.#entity)
      .map(([field, text]) => `${field} ${text}`)
      .join(", ")}: ${who}`;
  }

  #selectorsOf(meant: readonly Labelled[]): SelectorMatch[] {
    const matched = meant.map(({ resource }) => objectName(resource));
    return selectorFields(this.#entity).map(([field, selector]) => ({
      field: `${this.#side}.${field}`,
      selector,
      matched,
    }));
  }

  #portMismatch(meant: readonly Labelled[]): string | undefined {
    const { ports = [], notPorts = [] } = this.#entity;
    const shown = this.#port ?? "none";
    if (ports.length > 0 && !ports.some((port) => this.#isPort(port, meant))) {
      return `ports: ${shown} is none of ${ports.join(", ")}`;
    }
    const excluding = notPorts.find((port) => this.#isPort(port, meant));
    return excluding === undefined ? undefined : `notPorts: ${shown} is ${excluding}`;
  }

  #isPort(port: RulePort, meant: readonly Labelled[]): boolean {
    const range = /^(\d+)(?::(\d+))?$/.exec(String(port));
    if (range === null) return this.#isNamedPort(String(port), meant);
    if (this.#port === undefined) return false;
    return Number(range[1]) <= this.#port && this.#port <= Number(range[2] ?? range[1]);
  }

  #isNamedPort(name: string, meant: readonly Labelled[]): boolean {
    return (
      this.#context.packet.protocol === this.#portProtocol &&
      meant.some(({ ports }) =>
        ports.some(
          (port) =>
            port.name === name &&
            port.port === this.#port &&
            protocolNumber(port.protocol) === this.#portProtocol,
        ),
      )
    );
  }
}

function selectorFields(entity: EntityRule): (readonly [field: string, text: string])[] {
  const { names = [], selector: accounts } = entity.serviceAccounts ?? {};
  const fields = [
    ["selector", entity.selector],
    ["namespaceSelector", entity.namespaceSelector],
    ["notSelector", entity.notSelector],
    ["serviceAccounts.names", names.join(", ")],
    ["serviceAccounts.selector", accounts],
  ] as const;
  return fields.flatMap(([field, text]) => (isGiven(text) ? [[field, text] as const] : []));
}
