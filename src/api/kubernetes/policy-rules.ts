import { compareText, getOrCreate } from "../../lib/collections.ts";
import type { KubernetesPolicyPort } from "../resources/kubernetes.ts";
import type { EntityRule, Rule, RulePort } from "../resources/rule.ts";

/** Peers and ports as the two sides of a rule. */
export type PlacePeer = (
  peer: EntityRule,
  ports: EntityRule,
) => Pick<Rule, "source" | "destination">;

export const ingressRule: PlacePeer = (source, destination) => ({ source, destination });
export const egressRule: PlacePeer = (peer, ports) => ({ destination: { ...peer, ...ports } });

/** One rule for each protocol and peer (facts 2.6). No ports are any port. */
export function rulesOf(
  head: Pick<Rule, "action" | "metadata">,
  peers: readonly EntityRule[],
  ports: readonly KubernetesPolicyPort[],
  place: PlacePeer,
): Rule[] {
  return portsByProtocol(ports).flatMap(([protocol, rulePorts]) =>
    peers.map((peer) => ({
      ...head,
      ...(protocol === undefined ? {} : { protocol }),
      ...place(peer, rulePorts.length === 0 ? {} : { ports: rulePorts }),
    })),
  );
}

type ProtocolPorts = readonly [protocol: string | undefined, ports: readonly RulePort[]];

/** Ports of each protocol, protocols by name. A port entry without a number is the whole protocol. */
function portsByProtocol(ports: readonly KubernetesPolicyPort[]): ProtocolPorts[] {
  if (ports.length === 0) return [[undefined, []]];
  const groups = new Map<string, KubernetesPolicyPort[]>();
  for (const port of ports) getOrCreate(groups, port.protocol ?? "TCP", () => []).push(port);
  return [...groups]
    .sort(([a], [b]) => compareText(a, b))
    .map(([protocol, group]) => [
      protocol,
      group.some(({ port }) => port === undefined) ? [] : mergePorts(group),
    ]);
}

/** Named ports first, then the numbers, ascending and joined into ranges. */
function mergePorts(ports: readonly KubernetesPolicyPort[]): RulePort[] {
  const names: RulePort[] = [];
  const ranges: { first: number; last: number }[] = [];
  for (const { port, endPort } of ports) {
    if (typeof port === "string") names.push(port);
    else if (port !== undefined) ranges.push({ first: port, last: endPort ?? port });
  }
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges.sort((a, b) => a.first - b.first)) {
    const previous = merged.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      previous.last = Math.max(previous.last, range.last);
    } else {
      merged.push({ ...range });
    }
  }
  return [
    ...new Set(names),
    ...merged.map(({ first, last }) => (first === last ? first : `${first}:${last}`)),
  ];
}
