import { strict as assert } from "node:assert";
import { test } from "node:test";
import { kernelSetName } from "../../../../src/api/names.ts";
import type { EntityRule, Rule } from "../../../../src/api/resources/rule.ts";
import { canonicalText } from "../../../../src/api/selector/canonical.ts";
import {
  anyEntity,
  denyAll,
  type SetSource,
  scanRules,
} from "../../../../src/felix/calc/rule-scanner.ts";

/** Facts appendix B, by number. */
const vector = {
  11: "s:5y5I3VdRZfDU01O--xXAPx2yxCQQqMf0M6IWug",
  12: "s:oy593DLyi5BRwxLRqXScOfE9YMyW5S4KAhmzFg",
  13: "s:cttW8MqAIeVWez-m8dwR9b3uQqpCzqFehCdHqQ",
  "13b": "s:g_TM4cHGncRYRKupcms5_3mlb7DhnbSzVvsVlw",
  14: "cali40s:5y5I3VdRZfDU01O--xXAPx2",
  15: "n:ac_JrbZRp5ORL-z9cQxMyVpA98RIhLpq9rkrXg",
  16: [
    "svc:-B0RxVUwdW1aFEcXPP4q2GF3e68JsTwIe-pf7w",
    "svcnoport:b_Odath8L_-pMWpLC_tua_hO2jguw5ajClao3w",
  ],
} as const;

/** One allowing TCP rule to `destination`. */
function scan(destination: EntityRule, options: { namespace?: string } & Partial<Rule> = {}) {
  const { namespace, ...rule } = options;
  const all: Rule = { action: "Allow", protocol: "TCP", destination, ...rule };
  const { rules, sets } = scanRules([all], namespace);
  return { rules, sets, entity: rules[0]?.destination };
}

function texts(sets: ReadonlyMap<string, SetSource>): string[] {
  return [...sets.values()].map((source) => {
    if (source.kind === "service") return `${source.service}${source.withPorts ? " ports" : ""}`;
    const port = source.kind === "namedPort" ? ` ${source.protocol} ${source.port}` : "";
    return canonicalText(source.selector) + port;
  });
}

const goldenSelectors: readonly (readonly [string, EntityRule, string | undefined, string])[] = [
  ["11", { selector: "all()" }, undefined, vector[11]],
  ["12", { selector: "app == 'web'" }, undefined, vector[12]],
  [
    "13",
    { selector: `projectcalico.org/namespace == "default" && app == "web"` },
    undefined,
    vector[13],
  ],
  [
    "13b",
    { selector: `projectcalico.org/orchestrator == 'k8s' && app == 'client'` },
    "default",
    vector["13b"],
  ],
];

for (const [number, entity, namespace, id] of goldenSelectors) {
  test(`golden set id ${number}`, () => {
    const scanned = scan(entity, namespace === undefined ? {} : { namespace });
    assert.deepEqual(scanned.entity?.ipSets, [id]);
    assert.deepEqual([...scanned.sets.keys()], [id]);
  });
}

test("golden set name 14", () => {
  const { entity } = scan({ selector: "all()" });
  assert.equal(kernelSetName(entity?.ipSets[0] ?? "", 4), vector[14]);
});

test("golden set id 15: with named ports alone the selector is folded into their set", () => {
  const { entity, sets } = scan({ selector: "app == 'web'", ports: ["http"] });
  assert.deepEqual(entity, { ...anyEntity, namedPortSets: [vector[15]] });
  assert.deepEqual(texts(sets), ['app == "web" tcp http']);
});

test("a named port among numbers leaves the selector a set of its own", () => {
  const { entity, sets } = scan({ selector: "app == 'web'", ports: ["http", 443, "8000:8010"] });
  assert.deepEqual(entity?.ipSets, [vector[12]]);
  assert.deepEqual(entity?.ports, [
    { first: 443, last: 443 },
    { first: 8000, last: 8010 },
  ]);
  assert.deepEqual(texts(sets).sort(), ['app == "web"', 'app == "web" tcp http']);
});

test("a named port that must not match is never folded", () => {
  const { entity, sets } = scan({ selector: "app == 'web'", notPorts: ["http", 22] });
  assert.deepEqual(entity?.ipSets, [vector[12]]);
  assert.equal(entity?.notNamedPortSets.length, 1);
  assert.deepEqual(entity?.notPorts, [{ first: 22, last: 22 }]);
  assert.deepEqual(texts(sets).sort(), ['app == "web"', 'app == "web" tcp http']);
});

test("the protocol of a named port: by name, by number, or TCP", () => {
  const portsOf = (rule: Partial<Rule>) => texts(scan({ ports: ["dns"] }, rule).sets);
  assert.deepEqual(portsOf({ protocol: "UDP" }), ["all() udp dns"]);
  assert.deepEqual(portsOf({ protocol: 132 }), ["all() sctp dns"]);
  assert.deepEqual(portsOf({ protocol: "6" }), ["all() tcp dns"]);
  const { protocol: _, ...none } = { protocol: 0 };
  const { sets } = scanRules([{ action: "Allow", destination: { ports: ["dns"] }, ...none }], "x");
  assert.deepEqual(texts(sets), ["all() tcp dns"]);
});

for (const protocol of ["ICMP", 1, "constructor"]) {
  test(`a named port of protocol ${protocol} cannot be: the rule does not allow everything`, () => {
    for (const entity of [{ ports: ["http"] }, { notPorts: ["http"] }]) {
      assert.deepEqual(scan(entity, { protocol }).rules, []);
      assert.deepEqual(scan(entity, { protocol, action: "Deny" }).rules, [denyAll]);
      assert.equal(scan(entity, { protocol }).sets.size, 0);
    }
  });
}

const unresolvable: readonly (readonly [string, EntityRule])[] = [
  ["a selector that cannot be parsed", { selector: "app ==" }],
  ["a negative selector that cannot be parsed", { notSelector: "((" }],
  ["a net that is none", { nets: ["10.0.0.0/33"] }],
  ["a net that is no text", { nets: [7 as unknown as string] }],
];

for (const [what, entity] of unresolvable) {
  test(`${what}: what would allow matches nothing, what would not denies everything`, () => {
    const bySource = (action: Rule["action"]) =>
      scanRules([{ action, source: entity, destination: { selector: "app == 'a'" } }], "default");
    for (const side of [(action: Rule["action"]) => scan(entity, { action }), bySource]) {
      assert.deepEqual(side("Allow").rules, []);
      assert.deepEqual(side("Log").rules, []);
      assert.deepEqual(side("Deny").rules, [denyAll]);
      assert.deepEqual(side("Pass").rules, [denyAll]);
      // Of a rule that is not there no set is either.
      assert.equal(side("Allow").sets.size, 0);
    }
  });
}

test("an action that is none denies, and the other rules stay", () => {
  const rules = ["Allow", "allow", "toString", "Log"].map((action) => ({ action }) as Rule);
  const actions = scanRules(rules, undefined).rules.map(({ action }) => action);
  assert.deepEqual(actions, ["allow", "deny", "deny", "log"]);
});

test("a rule of a namespaced policy selects in its namespace, unless it says others", () => {
  const selectors = (entity: EntityRule) => texts(scan(entity, { namespace: "prod" }).sets);
  const own = 'projectcalico.org/namespace == "prod"';
  assert.deepEqual(selectors({ selector: "app == 'a'" }), [`(${own} && app == "a")`]);
  assert.deepEqual(selectors({ namespaceSelector: "env == 'dev'" }), ['pcns.env == "dev"']);
  assert.deepEqual(selectors({ namespaceSelector: "all()" }), ["has(projectcalico.org/namespace)"]);
  assert.deepEqual(selectors({ namespaceSelector: "global()" }), [
    "!has(projectcalico.org/namespace)",
  ]);
  assert.deepEqual(selectors({ nets: ["10.0.0.0/8"] }), []);
  assert.deepEqual(texts(scan({ selector: "app == 'a'" }).sets), ['app == "a"']);
});

test("a negative selector limits the rule to the namespace and is itself unlimited", () => {
  const { entity, sets } = scan({ notSelector: "app == 'web'" }, { namespace: "prod" });
  assert.deepEqual(texts(sets), ['(projectcalico.org/namespace == "prod" && !app == "web")']);
  assert.deepEqual([entity?.ipSets.length, entity?.notIpSets], [1, []]);
});

test("a negative selector is taken into a positive one, and alone is a set of its own", () => {
  const both = scan({ selector: "a == '1' && b == '2'", notSelector: "app == 'web' || !has(c)" });
  assert.deepEqual(texts(both.sets), ['((a == "1" && b == "2") && !(app == "web" || !has(c)))']);
  const alone = scan({ notSelector: "app == 'web'" });
  assert.deepEqual([alone.entity?.ipSets, alone.entity?.notIpSets], [[], [vector[12]]]);
});

test("golden set ids 16: a service with its ports as destination, without them as source", () => {
  const services = { name: "web", namespace: "default" };
  const egress = scan({ services }, { namespace: "prod" });
  assert.deepEqual(egress.entity, { ...anyEntity, ipPortSets: [vector[16][0]] });
  assert.deepEqual(texts(egress.sets), ["default/web ports"]);
  const ingress = scanRules(
    [{ action: "Allow", source: { services: { name: "web" } } }],
    "default",
  );
  assert.deepEqual(ingress.rules[0]?.source, { ...anyEntity, ipSets: [vector[16][1]] });
  assert.deepEqual(texts(ingress.sets), ["default/web"]);
});

test("a service of no namespace in a global policy cannot be: the rule does not allow", () => {
  const services = { name: "web" };
  assert.deepEqual(scan({ services }).rules, []);
  assert.deepEqual(scan({ services }, { action: "Deny" }).rules, [denyAll]);
});

test("nets lose their host bits, and bare addresses are nets", () => {
  const { entity } = scan({ nets: ["10.1.2.3/8", "10.0.0.1"], notNets: ["FD00::1/64"] });
  assert.deepEqual(entity?.nets, ["10.0.0.0/8", "10.0.0.1/32"]);
  assert.deepEqual(entity?.notNets, ["fd00::/64"]);
});

test("what iptables would refuse is not understood: the rule fails closed", () => {
  const rows: readonly Partial<Rule>[] = [
    { protocol: "word" },
    { notProtocol: 300 },
    { protocol: "ICMP", icmp: { type: 256 } },
    { protocol: "ICMP", notICMP: { type: 8, code: -1 } },
    { protocol: "TCP", source: { ports: ["9:5"] } },
    { protocol: "TCP", source: { notPorts: [70_000] } },
  ];
  for (const row of rows) {
    assert.deepEqual(scan({}, { ...row, action: "Deny" }).rules, [denyAll], JSON.stringify(row));
    assert.deepEqual(scan({}, { ...row, action: "Allow" }).rules, []);
  }
});

test("protocols are lower-case names or numbers", () => {
  const protocols = (["TCP", "17", 1, "UDPLite"] as const).map((protocol) => {
    const [rule] = scanRules([{ action: "Allow", protocol, notProtocol: protocol }], "x").rules;
    return [rule?.protocol, rule?.notProtocol];
  });
  assert.deepEqual(protocols, [
    ["tcp", "tcp"],
    [17, 17],
    [1, 1],
    ["udplite", "udplite"],
  ]);
});
