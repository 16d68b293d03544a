import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { IptablesBackend } from "../../../../src/kernel/iptables/backend.ts";
import type { Chain, Rule } from "../../../../src/kernel/iptables/model.ts";
import { TableMemory } from "../../../../src/kernel/iptables/table-memory.ts";
import { IptablesTable } from "../../../../src/kernel/iptables/tables.ts";
import { FakeIptables } from "./fake-iptables.ts";

const backend: IptablesBackend = {
  kind: "nft",
  variant: "-nft",
  version: "1.8.9",
  features: { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true },
};
const config = { table: "filter", family: 4, backend } as const;
const jump = (chain: string): Rule => ({ match: [], action: { kind: "jump", chain } });
const port = (number: number): Rule => ({
  match: [
    { kind: "protocol", protocol: "tcp" },
    { kind: "destinationPort", port: number },
  ],
  action: { kind: "drop" },
});

function setUp() {
  const kernel = new FakeIptables("filter", ["INPUT", "FORWARD", "OUTPUT"]);
  const memory = new TableMemory({ read: async () => kernel.generation, close: () => undefined });
  const table = new IptablesTable(config, { exec: kernel, memory });
  return { kernel, memory, table };
}

/** A table that is as desired, and of which that is known. */
async function settled() {
  const { kernel, memory, table } = setUp();
  table.setChains([{ name: "cali-a", rules: [port(1)] }]);
  table.setInsertions("FORWARD", [jump("cali-a")]);
  await memory.round(() => table.apply());
  assert.equal(await table.check(), true);
  kernel.calls.length = 0;
  return { kernel, memory, table };
}

describe("a table in rounds", () => {
  test("reads nothing for a change while only we write", async () => {
    const { kernel, memory, table } = await settled();
    for (const number of [2, 3, 4]) {
      table.setChains([{ name: "cali-a", rules: [port(number)] }]);
      await memory.round(() => table.apply());
      assert.match(kernel.rules("cali-a")?.[0] ?? "", new RegExp(`--dport ${number} `));
    }
    assert.equal(await table.check(), true);
    assert.deepEqual(new Set(kernel.calls), new Set(["iptables-nft-restore"]));
  });

  test("notices what another wrote before its round, and repairs it with the change", async () => {
    const { kernel, memory, table } = await settled();
    kernel.restore([":FORWARD - [0:0]"]);
    table.setChains([{ name: "cali-a", rules: [port(2)] }]);
    await memory.round(() => table.apply());
    assert.equal(kernel.calls[0], "iptables-nft-save");
    assert.equal(kernel.rules("FORWARD")?.length, 1);
  });

  test("notices after its round what another wrote within", async () => {
    const { kernel, memory, table } = await settled();
    table.setChains([{ name: "cali-a", rules: [port(2)] }]);
    kernel.beforeNextRestore(() => kernel.restore([":FORWARD - [0:0]"]));
    await memory.round(() => table.apply());
    assert.equal(await table.check(), false);
    await memory.round(() => table.apply());
    assert.equal(kernel.rules("FORWARD")?.length, 1);
  });

  test("does not trust what it knows outside of a round, nor after a failure, nor when told to look", async () => {
    const { kernel, memory, table } = await settled();
    const change = async (number: number, apply: () => Promise<unknown>) => {
      kernel.calls.length = 0;
      table.setChains([{ name: "cali-a", rules: [port(number)] }]);
      await apply();
      return kernel.calls;
    };
    const both = ["iptables-nft-save", "iptables-nft-restore"];
    assert.deepEqual(await change(2, () => table.apply()), both);
    assert.equal(await table.check(), true);
    kernel.failNext("out of memory");
    const repeated = ["iptables-nft-restore", ...both.slice(0, 1)];
    await assert.rejects(
      change(3, () => memory.round(() => table.apply())),
      /out of memory/,
    );
    assert.deepEqual(kernel.calls, repeated);
    assert.equal(table.dirty, true);
    await memory.round(() => table.apply());
    assert.match(kernel.rules("cali-a")?.[0] ?? "", /--dport 3 /);
    table.invalidate();
    assert.deepEqual(await change(4, () => memory.round(() => table.apply())), both);
  });

  test("does not take for now what was read ahead in a round that then failed", async () => {
    const { kernel, memory, table } = await settled();
    const chain = (number: number) => table.setChains([{ name: "cali-a", rules: [port(number)] }]);
    kernel.restore([":OUTPUT - [0:0]"]);
    chain(2);
    await memory.round(async () => table.readAhead());
    chain(1);
    kernel.restore([":FORWARD - [0:0]"]);
    assert.equal(await table.check(), false);
  });

  test("reads each time where the generation cannot be read", async () => {
    const kernel = new FakeIptables("filter", ["INPUT", "FORWARD", "OUTPUT"]);
    const read = () => Promise.reject(new Error("no nf_tables"));
    const memory = new TableMemory({ read, close: () => undefined });
    const table = new IptablesTable(config, { exec: kernel, memory });
    table.setInsertions("FORWARD", [jump("cali-a")]);
    await memory.round(() => table.apply());
    kernel.restore([":FORWARD - [0:0]"]);
    assert.equal(await table.check(), false);
  });
});

/** Of one of them each rule has a hash of its own. */
function chainsOf(chains: ReadonlyMap<string, readonly Rule[]>): Chain[] {
  return [...chains].map(([name, rules]) => ({ name, rules, separate: name === "cali-c" }));
}

test("whatever others write and whenever, rounds end in what a fresh process finds right", async () => {
  const names = fc.constantFrom("cali-a", "cali-b", "cali-c");
  const rules = fc.array(fc.oneof(names.map(jump), fc.nat({ max: 3 }).map(port)), { maxLength: 3 });
  const lines = fc.constantFrom(
    "-I FORWARD -s 198.51.100.1/32 --jump DROP",
    ":FORWARD - [0:0]",
    ":cali-a - [0:0]",
    ":cali-c - [0:0]",
    ":cali-z - [0:0]",
  );
  const step = fc.oneof(
    fc.record({ chain: names, rules }),
    fc.record({ gone: names }),
    fc.record({ head: rules }),
    fc.record({ before: lines }),
    fc.record({ within: lines }),
    fc.constant({ fails: true }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { kernel, memory, table } = setUp();
      const chains = new Map<string, readonly Rule[]>();
      let head: readonly Rule[] = [];
      for (const one of steps) {
        if ("chain" in one) chains.set(one.chain, one.rules);
        if ("gone" in one) chains.delete(one.gone);
        if ("head" in one) head = one.head;
        if ("before" in one) kernel.restore([one.before]);
        if ("within" in one) kernel.beforeNextRestore(() => kernel.restore([one.within]));
        if ("fails" in one) kernel.failNext("no memory");
        if ("gone" in one) table.removeChains([one.gone]);
        table.setChains(chainsOf(chains));
        table.setInsertions("FORWARD", head);
        await memory.round(() => table.apply()).catch(() => undefined);
      }
      // What kernel events and the retry after a failure do.
      for (let round = 0; round < 4; round++) {
        await table.check().catch(() => undefined);
        await memory.round(() => table.apply()).catch(() => undefined);
      }
      // A failure that was planned and met nobody.
      await kernel.run("iptables-nft-save", []);
      const fresh = new IptablesTable(config, { exec: kernel });
      fresh.setChains(chainsOf(chains));
      fresh.setInsertions("FORWARD", head);
      assert.deepEqual(await fresh.plan(), { table: "filter", write: [], remove: [] });
    }),
    { numRuns: 150 },
  );
});
