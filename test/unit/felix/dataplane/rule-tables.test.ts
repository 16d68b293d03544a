import { strict as assert } from "node:assert";
import { test } from "node:test";
import { anyEntity } from "../../../../src/felix/calc/rule-scanner.ts";
import type { ActivePolicy, ResolvedRule } from "../../../../src/felix/calc/updates.ts";
import { PolicyManager } from "../../../../src/felix/dataplane/policy-manager.ts";
import { RuleTables } from "../../../../src/felix/dataplane/rule-tables.ts";
import { defaultRulesConfig } from "../../../../src/felix/rules/rules-config.ts";
import type { Chain } from "../../../../src/kernel/iptables/model.ts";

const allow: ResolvedRule = { action: "allow", source: anyEntity, destination: anyEntity };

function policy(name: string, ...ingress: readonly ResolvedRule[]): ActivePolicy {
  return {
    tier: "default",
    shortKind: "gnp",
    name,
    selector: "all()",
    ingress,
    egress: [],
    types: ["Ingress"],
  };
}

function noRefusal(name: string): void {
  assert.fail(`refused: ${name}`);
}

test("PolicyManager gives the same chains for a policy that did not change", () => {
  const manager = new PolicyManager();
  manager.onUpdate({ op: "set", kind: "policy", id: "gnp/a", value: policy("a", allow) });
  manager.onUpdate({ op: "set", kind: "policy", id: "gnp/b", value: policy("b", allow) });
  const before = manager.chains(defaultRulesConfig, 4, noRefusal);
  manager.onUpdate({ op: "set", kind: "policy", id: "gnp/b", value: policy("b", allow, allow) });
  const after = manager.chains(defaultRulesConfig, 4, noRefusal);
  assert.deepEqual(
    after.map((chain, i) => chain === before[i]),
    [true, true, false, false],
  );
  const other = manager.chains({ ...defaultRulesConfig }, 4, noRefusal);
  assert.ok(
    other.every((chain, i) => chain !== after[i]),
    "another configuration",
  );
});

test("PolicyManager leaves out a policy that cannot be rendered, and tells once", () => {
  const manager = new PolicyManager();
  const bad: ResolvedRule = {
    ...allow,
    protocol: "icmp",
    destination: { ...anyEntity, ports: [{ first: 80, last: 80 }] },
  };
  manager.onUpdate({ op: "set", kind: "policy", id: "gnp/bad", value: policy("bad", bad) });
  manager.onUpdate({ op: "set", kind: "policy", id: "gnp/good", value: policy("good", allow) });
  const refused: string[] = [];
  for (let i = 0; i < 2; i++) {
    const chains = manager.chains(defaultRulesConfig, 4, (id) => refused.push(id));
    assert.deepEqual(
      chains.map(({ name }) => name),
      ["cali-pi-gnp/good", "cali-po-gnp/good"],
    );
  }
  assert.deepEqual(refused, ["policy gnp/bad"]);
});

function tables(): RuleTables {
  const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };
  return new RuleTables(
    {
      family: 4,
      backend: { kind: "nft", variant: "-nft", version: "1.8.9", features },
      insertMode: "insert",
    },
    { exec: { run: () => Promise.reject(new Error("not in this test")), close: () => undefined } },
  );
}

function withFilter(...filter: readonly Chain[]) {
  return { raw: [], mangle: [], nat: [], filter };
}

const forward: Chain = {
  name: "cali-FORWARD",
  rules: [{ match: [], action: { kind: "jump", chain: "cali-tw-x" } }],
};
const usesSet = (set: string): Chain => ({
  name: "cali-tw-x",
  rules: [{ match: [{ kind: "ipSet", side: "source", set }], action: { kind: "accept" } }],
});

test("RuleTables needs the sets of the chains that it was told last", () => {
  const rules = tables();
  rules.setAll(withFilter(forward, usesSet("cali40s:a")), defaultRulesConfig, noRefusal);
  assert.deepEqual([...rules.neededSets()], ["cali40s:a"]);
  rules.setAll(withFilter(forward, usesSet("cali40s:b")), defaultRulesConfig, noRefusal);
  assert.deepEqual([...rules.neededSets()], ["cali40s:b"]);
  rules.setAll(withFilter(forward), defaultRulesConfig, noRefusal);
  assert.deepEqual([...rules.neededSets()], []);
});

test("RuleTables goes without a chain that cannot be written, also in place of a good one", () => {
  const rules = tables();
  rules.setAll(withFilter(forward, usesSet("cali40s:a")), defaultRulesConfig, noRefusal);
  const refused: string[] = [];
  rules.setAll(withFilter(forward, usesSet("a\nb")), defaultRulesConfig, (chain) =>
    refused.push(chain),
  );
  assert.deepEqual(refused, ["cali-tw-x"]);
  assert.deepEqual([...rules.neededSets()], []);
});
