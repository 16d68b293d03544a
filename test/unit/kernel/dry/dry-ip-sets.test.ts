import assert from "node:assert/strict";
import { test } from "node:test";
import { DryIpSets } from "../../../../src/kernel/dry/dry-ip-sets.ts";
import type { KernelSet } from "../../../../src/kernel/ipset/ip-set.ts";

const kernelSet = (...members: string[]): KernelSet => ({
  type: "hash:net",
  maxElements: 1_048_576,
  members: new Set(members),
});
const present = new Map([
  ["cali40s:same", kernelSet("10.0.0.1/32")],
  ["cali40s:members", kernelSet("10.0.0.1/32", "10.0.0.2/32")],
  ["cali40s:size", { ...kernelSet("10.0.0.1/32"), maxElements: 7 }],
  ["cali40s:gone", kernelSet()],
  ["cali40s:unneeded", kernelSet("10.0.0.1/32")],
  ["others", kernelSet()],
]);

test("DryIpSets: says how each set differs from what is wanted", async () => {
  const sets = new DryIpSets(4, "cali40", {
    listNames: async () => [...present.keys()],
    list: async (name) => present.get(name),
  });
  const wanted = ["same", "members", "size", "new", "unneeded"].map((name) => `cali40s:${name}`);
  for (const name of wanted) {
    const member = name.endsWith("members") ? "10.0.0.3" : "10.0.0.1";
    sets.set(name, { type: "hash:net", members: new Set([member]) });
  }
  sets.change("cali40s:members", { add: new Set(["10.0.0.2"]), remove: new Set() });
  const needed = new Set(wanted.filter((name) => !name.endsWith("unneeded")));
  await sets.apply(needed);
  await sets.destroyUnused(needed);
  assert.equal(sets.equal, 1);
  const one = ["10.0.0.1/32"];
  assert.deepEqual(sets.differences, [
    { name: "cali40s:members", op: "change", added: ["10.0.0.3/32"], removed: one },
    { name: "cali40s:size", op: "replace", added: [], removed: [] },
    { name: "cali40s:new", op: "add", added: one, removed: [] },
    { name: "cali40s:gone", op: "remove", added: [], removed: [] },
    { name: "cali40s:unneeded", op: "remove", added: [], removed: [] },
  ]);
});

test("DryIpSets: a set that cannot be read is no equal set", async () => {
  const sets = new DryIpSets(4, "cali40", {
    listNames: async () => [],
    list: () => Promise.reject(new Error("EPERM")),
  });
  sets.set("cali40s:x", { type: "hash:net", members: new Set() });
  await assert.rejects(sets.apply(), /EPERM/);
  assert.equal(sets.equal, 0);
});
