import * as fc from "fast-check";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { AnyResource, Kind } from "../../../src/api/resource-of-kind.ts";
import type { EntityRule } from "../../../src/api/resources/rule.ts";
import { decodeResource } from "../../../src/api/validate.ts";
import { calcKinds } from "../../../src/felix/calc/calc-graph.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";

/** The small pools that all of a random cluster is drawn from, so that things collide. */

/** Kinds that the calculation graph does not know are left out. */
export function supports(kind: Kind): boolean {
  return calcKinds.includes(kind);
}

export const nodes: readonly string[] = ["node-a", "node-b"];
export const namespaces: readonly string[] = ["red", "blue"];
const podCount = 5;
export const v4Of = (index: number): string => `10.0.${index % 2}.${index + 1}`;
export const v6Of = (index: number): string => parseIpAddr(`fd00::${index % 2}:${index + 1}`);
export const outside: readonly string[] = ["8.8.8.8", "172.16.1.1", "2001:db8::1"];
export const pods: readonly number[] = Array.from({ length: podCount }, (_, index) => index);

export const nets4: readonly string[] = [
  "10.0.0.0/24",
  "10.0.1.0/24",
  "10.0.0.0/8",
  "10.0.0.1/32",
  "8.8.8.8/32",
  "0.0.0.0/0",
];
export const nets6: readonly string[] = [
  "fd00::/112",
  "fd00::1:0/112",
  "fd00::/64",
  "2001:db8::/32",
  "::/0",
];
export const portNumbers: readonly number[] = [80, 443, 8080, 5353];
export const portNames: readonly string[] = ["http", "dns"];

export const subset = <T>(
  values: readonly T[],
  options: { minLength?: number; maxLength?: number } = {},
): fc.Arbitrary<T[]> => fc.subarray([...values], options);
export const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

/** An object without the fields that are undefined. */
export function given<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

export const labels: fc.Arbitrary<Record<string, string>> = fc
  .record({ app: maybe(fc.constantFrom("x", "y")), tier: maybe(fc.constantFrom("x", "z")) })
  .map(given) as fc.Arbitrary<Record<string, string>>;

const term = fc.constantFrom(
  "all()",
  "app == 'x'",
  "app != 'x'",
  "has(tier)",
  "!has(app)",
  "app in {'x', 'y'}",
  "tier not in {'x'}",
  "app starts with 'y'",
  "tier contains 'z'",
);
export const selector: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: term },
  { weight: 1, arbitrary: fc.tuple(term, term).map(([a, b]) => `${a} && ${b}`) },
  { weight: 1, arbitrary: fc.tuple(term, term).map(([a, b]) => `!(${a} || ${b})`) },
);
export const namespaceSelector: fc.Arbitrary<string> = fc.constantFrom(
  "all()",
  "global()",
  "color == 'red'",
  "color != 'red'",
  "has(color) && color != 'blue'",
);
export const policyNamespaceSelector: fc.Arbitrary<string> = fc.constantFrom(
  "all()",
  "color == 'red'",
  "color != 'red'",
);
export const accounts: fc.Arbitrary<NonNullable<EntityRule["serviceAccounts"]>> = fc.oneof(
  fc.record({ names: fc.constantFrom(["robot"], ["robot", "default"], ["nobody"]) }),
  fc.record({ selector: fc.constantFrom("role == 'machine'", "all()", "role != 'machine'") }),
);

export function resource(
  kind: Kind,
  name: string,
  spec: object,
  metadata: object = {},
): AnyResource {
  return decodeResource({
    apiVersion: calicoApiVersion,
    kind,
    metadata: { name, ...metadata },
    spec,
  });
}

export function configuration(endpointToHost: string): AnyResource {
  return resource("FelixConfiguration", "default", { defaultEndpointToHostAction: endpointToHost });
}

/** Once in `every` + 1 draws. */
export function sometimes<T>(arbitrary: fc.Arbitrary<T>, every = 3): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: every, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

export function often<T>(value: T, times: number): T[] {
  return Array.from({ length: times }, () => value);
}
