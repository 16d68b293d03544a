import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import type { Rule } from "../../../src/api/resources/rule.ts";
import { policyCluster } from "../../../src/policy/cluster.ts";
import { lint } from "../../../src/policy/lint.ts";
import { globalPolicy, pod, policy, profile, tier } from "../../states/resources.ts";

const world: readonly AnyResource[] = [
  pod("web", {
    ip: "10.0.0.1/32",
    labels: { app: "web" },
    ports: [{ name: "http", protocol: "TCP", port: 80 }],
  }),
  profile("kns.prod"),
  tier("default", { order: 1_000_000, defaultAction: "Deny" }),
];

function found(...resources: readonly AnyResource[]): string[] {
  return lint(policyCluster([...world, ...resources]))
    .filter(({ check }) => check !== "empty-tier")
    .map(({ check, path, message }) => `${check} ${path ?? ""}: ${message}`);
}

function rules(...ingress: readonly Rule[]): AnyResource {
  return policy("p", { selector: "app == 'web'", ingress });
}

const rows: readonly (readonly [
  name: string,
  resources: readonly AnyResource[],
  expected: readonly string[],
])[] = [
  ["nothing wrong", [rules({ action: "Allow" })], []],
  [
    "a rule behind one that matches all",
    [rules({ action: "Deny" }, { action: "Allow", protocol: "TCP" })],
    ["shadowed-rule spec.ingress[1]: spec.ingress[0] comes first and matches all of it"],
  ],
  [
    "a rule behind a wider net",
    [
      rules(
        { action: "Deny", source: { nets: ["10.0.0.0/8"] } },
        { action: "Allow", source: { nets: ["10.1.0.0/16"] } },
      ),
    ],
    ["shadowed-rule spec.ingress[1]: spec.ingress[0] comes first and matches all of it"],
  ],
  [
    "a rule behind a narrower net",
    [
      rules(
        { action: "Deny", source: { nets: ["10.1.0.0/16"] } },
        { action: "Allow", source: { nets: ["10.0.0.0/8"] } },
      ),
    ],
    [],
  ],
  ["Log shadows nothing", [rules({ action: "Log" }, { action: "Allow" })], []],
  [
    "the own namespace does not shadow all namespaces",
    [
      rules(
        { action: "Deny", source: { selector: "app == 'web'" } },
        { action: "Allow", source: { selector: "app == 'web'", namespaceSelector: "all()" } },
      ),
    ],
    [],
  ],
  [
    "a policy of nobody",
    [policy("p", { selector: "app == 'gone'", ingress: [{ action: "Allow" }] })],
    ["selects-nothing : selector app == 'gone'"],
  ],
  [
    "a selector that finds nobody",
    [rules({ action: "Allow", source: { selector: "app == 'gone'" } })],
    [`matches-nothing spec.ingress[0]: source: {"selector":"app == 'gone'"}`],
  ],
  [
    "a port of nobody",
    [rules({ action: "Allow", protocol: "TCP", destination: { ports: ["http", "https"] } })],
    ["unknown-port spec.ingress[0]: destination: https"],
  ],
  [
    "a service of nobody",
    [rules({ action: "Allow", source: { services: { name: "gone" } } })],
    ["unknown-service spec.ingress[0]: source: prod/gone"],
  ],
  ["only Log", [rules({ action: "Log" })], ["log-only : Ingress has only Log rules"]],
  [
    "only Log in a tier that passes",
    [
      tier("lax", { order: 1, defaultAction: "Pass" }),
      policy("p", { tier: "lax", ingress: [{ action: "Log" }] }),
    ],
    [],
  ],
  [
    "rules of a direction that types leave out",
    [policy("p", { types: ["Egress"], ingress: [{ action: "Allow" }] })],
    ["unused-rules : types has no Ingress"],
  ],
  [
    "a rule that cannot be read",
    [rules({ action: "Allow", source: { selector: "((" } })],
    ["unreadable-rule spec.ingress[0]: "],
  ],
  ["a tier that is not there", [globalPolicy("g", { tier: "gone" })], ["missing-tier : tier gone"]],
  [
    "tiers of one order",
    [
      tier("a", { order: 5 }),
      tier("b", { order: 5 }),
      globalPolicy("g", { tier: "a" }),
      globalPolicy("h", { tier: "b" }),
    ],
    ["equal-tiers : order 5, as a"],
  ],
  [
    "a profile that is not there",
    [pod("lost", { ip: "10.0.0.2/32", profiles: ["gone"] })],
    ["missing-profile : profile gone"],
  ],
  ["http", [rules({ action: "Allow", http: {} })], ["ignored-http spec.ingress[0]: http is given"]],
];

for (const [name, resources, expected] of rows) {
  test(`lint() finds ${name}`, () => {
    const findings = found(...resources);
    assert.equal(findings.length, expected.length, findings.join("\n"));
    for (const [i, text] of expected.entries())
      assert.ok(findings[i]?.startsWith(text), findings[i]);
  });
}

test("lint() notes a tier without policies", () => {
  const findings = lint(policyCluster(world));
  assert.deepEqual(
    findings.map(({ check, level }) => [check, level]),
    [["empty-tier", "note"]],
  );
});
