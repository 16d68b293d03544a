import * as fc from "fast-check";
import type { EntityRule, Rule } from "../../../src/api/resources/rule.ts";
import {
  accounts,
  given,
  namespaceSelector,
  nets4,
  nets6,
  portNames,
  portNumbers,
  selector,
  sometimes,
  subset,
  supports,
} from "./pools.ts";

export type Side = "source" | "destination";

/** One side of a rule, of one family, with ports only where `ports` says. */
function entity(family: 4 | 6, ports: boolean, service: boolean): fc.Arbitrary<EntityRule> {
  const nets = family === 4 ? nets4 : nets6;
  const except = nets.filter((net) => !net.endsWith("/0"));
  const numbers = fc.constantFrom<number | string>(...portNumbers, "8000:9000", "1:100");
  const many = fc.constantFrom([...Array.from({ length: 20 }, (_, i) => 7000 + i), 443]);
  const list = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.array(fc.oneof(numbers, fc.constantFrom(...portNames)), {
        minLength: 1,
        maxLength: 3,
      }),
    },
    { weight: 1, arbitrary: many },
  );
  const withPorts = ports
    ? { ports: sometimes(list, 2), notPorts: sometimes(list, 7) }
    : { ports: fc.constant(undefined), notPorts: fc.constant(undefined) };
  const plain = fc
    .record({
      nets: sometimes(subset(nets, { minLength: 1, maxLength: 3 }), 6),
      notNets: sometimes(subset(except, { minLength: 1, maxLength: 2 }), 8),
      selector: sometimes(selector, 4),
      notSelector: sometimes(selector, 9),
      namespaceSelector: sometimes(namespaceSelector, 7),
      serviceAccounts: sometimes(accounts, 9),
      ...withPorts,
    })
    .map((fields) => given(fields) as EntityRule);
  if (!service || !supports("EndpointSlice")) return plain;
  const services = fc.constantFrom("web", "nothing").map((name) => ({
    services: { name, namespace: "red" },
  }));
  return fc.oneof({ weight: 8, arbitrary: plain }, { weight: 1, arbitrary: services });
}

const action = fc.oneof(
  { weight: 4, arbitrary: fc.constant("Allow") },
  { weight: 3, arbitrary: fc.constant("Deny") },
  { weight: 2, arbitrary: fc.constant("Pass") },
  { weight: 1, arbitrary: fc.constant("Log") },
);
const icmp = fc.constantFrom(
  { type: 8 },
  { type: 8, code: 0 },
  { type: 3, code: 1 },
  { type: 128 },
);

function rule(serviceSide: Side): fc.Arbitrary<Rule> {
  const sides = (family: 4 | 6, ports: boolean) => ({
    source: entity(family, ports, serviceSide === "source" && !ports),
    destination: entity(family, ports, serviceSide === "destination" && !ports),
  });
  const shape = (family: 4 | 6) =>
    fc.oneof(
      fc.record({
        action,
        protocol: fc.constantFrom("TCP", "TCP", "TCP", "UDP", "SCTP", 6),
        ...sides(family, true),
      }),
      fc.record({ action, ...sides(family, false) }),
      // Without a protocol a named port is one of TCP.
      fc.record({ action, destination: fc.record({ ports: subset(portNames, { minLength: 1 }) }) }),
      fc.record({
        action,
        protocol: fc.constant(family === 4 ? "ICMP" : "ICMPv6"),
        icmp: sometimes(icmp, 1),
        notICMP: sometimes(icmp, 2),
        ...sides(family, false),
      }),
      fc.record({
        action,
        protocol: sometimes(fc.constantFrom<string | number>("TCP", "UDP", 1, 132), 2),
        notProtocol: sometimes(fc.constantFrom<string | number>("TCP", "UDP", 58)),
        ipVersion: sometimes(fc.constant(family), 4),
        ...sides(family, false),
      }),
    );
  return fc
    .oneof({ weight: 5, arbitrary: shape(4) }, { weight: 1, arbitrary: shape(6) })
    .map((fields) => given(fields) as unknown as Rule);
}

/** Mostly some, so that more is decided than the ends of tiers. */
export function rules(serviceSide: Side): fc.Arbitrary<Rule[]> {
  return fc.array(rule(serviceSide), { maxLength: 4, size: "max" });
}
