import assert from "node:assert/strict";
import { test } from "node:test";
import { DesiredRules } from "../../../../src/kernel/iptables/desired-rules.ts";
import type { Chain, Rule } from "../../../../src/kernel/iptables/model.ts";
import { renderChain, renderRules } from "../../../../src/kernel/iptables/rendered-chain.ts";

const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };
const rendered = (chain: Chain) => renderChain(chain, features);
const jump = (chain: string): Rule => ({ match: [], action: { kind: "jump", chain } });
const inSet = (set: string): Rule => ({
  match: [{ kind: "ipSet", side: "source", set }],
  action: { kind: "drop" },
});

/** FORWARD leads to cali-a. */
function rules(): DesiredRules {
  const desired = new DesiredRules((name) => rendered({ name, rules: [] }));
  desired.setRun("insertions", "FORWARD", renderRules("FORWARD", [jump("cali-a")], features));
  return desired;
}

const needed = (desired: DesiredRules) => [...desired.needed.keys()].sort();
const sets = (desired: DesiredRules) => [...desired.neededSets].sort();

test("a chain that leads elsewhere than before needs other chains and sets", () => {
  const desired = rules();
  desired.setChain(rendered({ name: "cali-a", rules: [] }));
  desired.setChain(rendered({ name: "cali-b", rules: [inSet("cali40s:b")] }));
  assert.deepEqual([needed(desired), sets(desired)], [["cali-a"], []]);
  desired.takeChanged();
  desired.setChain(rendered({ name: "cali-a", rules: [jump("cali-b")] }));
  assert.deepEqual([...(desired.takeChanged() ?? [])], ["cali-a", "cali-b"]);
  assert.deepEqual([needed(desired), sets(desired)], [["cali-a", "cali-b"], ["cali40s:b"]]);
  desired.setChain(rendered({ name: "cali-b", rules: [jump("cali-c"), inSet("cali40s:b")] }));
  assert.deepEqual([...(desired.takeChanged() ?? [])], ["cali-b", "cali-c"], "one is missing");
  desired.setChain(rendered({ name: "cali-c", rules: [inSet("cali40s:c"), jump("cali-b")] }));
  assert.deepEqual([...(desired.takeChanged() ?? [])], ["cali-c"]);
  assert.deepEqual(sets(desired), ["cali40s:b", "cali40s:c"]);
  desired.setChain(rendered({ name: "cali-b", rules: [inSet("cali40s:b")] }));
  assert.equal(desired.takeChanged(), undefined, "anything may be other");
  assert.deepEqual([needed(desired), sets(desired)], [["cali-a", "cali-b"], ["cali40s:b"]]);
  desired.removeChain("cali-b");
  assert.deepEqual([needed(desired), sets(desired)], [["cali-a", "cali-b"], []]);
  desired.setRun("insertions", "FORWARD", renderRules("FORWARD", [], features));
  assert.deepEqual(needed(desired), []);
});

test("other rules within a chain change that chain alone, and the sets", () => {
  const desired = rules();
  desired.setChain(rendered({ name: "cali-a", rules: [inSet("cali40s:a")] }));
  desired.setChain(rendered({ name: "cali-unused", rules: [] }));
  assert.deepEqual(sets(desired), ["cali40s:a"]);
  desired.takeChanged();
  const changed = rendered({ name: "cali-a", rules: [inSet("cali40s:b")] });
  assert.equal(desired.setChain(changed), true);
  assert.equal(desired.setChain(rendered({ name: "cali-unused", rules: [inSet("x")] })), true);
  assert.deepEqual([...(desired.takeChanged() ?? [])], ["cali-a"]);
  assert.deepEqual(sets(desired), ["cali40s:b"]);
  assert.equal(desired.needed.get("cali-a"), changed);
  assert.equal(desired.setChain(changed), false);
  assert.deepEqual([...(desired.takeChanged() ?? [])], []);
});

test("of rules with hashes of their own any other one is a difference, not the last alone", () => {
  const desired = rules();
  const chain = (...sets: readonly string[]) =>
    rendered({ name: "cali-a", rules: sets.map(inSet), separate: true });
  desired.setChain(chain("a", "b", "end"));
  assert.equal(desired.setChain(chain("a", "b", "end")), false);
  assert.equal(desired.setChain(chain("a", "c", "end")), true);
});
