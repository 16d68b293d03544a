import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { IptablesBackend } from "../../../../src/kernel/iptables/backend.ts";
import type { Chain, Rule } from "../../../../src/kernel/iptables/model.ts";
import { IptablesError, IptablesTable } from "../../../../src/kernel/iptables/tables.ts";
import { InputError } from "../../../../src/lib/errors.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { FakeIptables } from "./fake-iptables.ts";

const backend: IptablesBackend = {
  kind: "nft",
  variant: "-nft",
  version: "1.8.9",
  features: { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true },
};

const jump = (chain: string): Rule => ({ match: [], action: { kind: "jump", chain } });
const drop: Rule = { match: [], action: { kind: "drop" } };
const foreign = "-s 198.51.100.1/32 --jump DROP";

function setUp(insertMode: "insert" | "append" = "insert") {
  const kernel = new FakeIptables("filter", ["INPUT", "FORWARD", "OUTPUT"]);
  const table = new IptablesTable(
    { table: "filter", family: 4, backend, insertMode },
    { exec: kernel },
  );
  return { kernel, table };
}

const kinds = (bodies: readonly string[] | undefined): string[] =>
  (bodies ?? []).map((body) =>
    body.includes("cali:") ? body.replace(/.*--jump /, "") : "foreign",
  );

describe("IptablesTable", () => {
  test("programs only chains that a kernel chain leads to", async () => {
    const { kernel, table } = setUp();
    table.setChains([
      { name: "cali-a", rules: [jump("cali-b")] },
      { name: "cali-b", rules: [drop] },
      { name: "cali-unused", rules: [jump("cali-b")] },
    ]);
    table.setInsertions("FORWARD", [jump("cali-a")]);
    await table.apply();
    assert.equal(kernel.rules("cali-a")?.length, 1);
    assert.equal(kernel.rules("cali-unused"), undefined);
    assert.deepEqual(table.size, { chains: 2, rules: 3 });
  });

  test("a chain of ours that is missing drops; another's is not ours to make", async () => {
    const { kernel, table } = setUp();
    table.setInsertions("FORWARD", [jump("cali-gone"), jump("KUBE-FORWARD")]);
    await table.apply();
    assert.match(kernel.rules("cali-gone")?.[0] ?? "", /"Missing chain" --jump DROP$/);
    assert.equal(kernel.rules("KUBE-FORWARD"), undefined);
  });

  test("inserts before and appends behind foreign rules", async () => {
    const { kernel, table } = setUp();
    kernel.restore([`-A FORWARD ${foreign}`]);
    table.setInsertions("FORWARD", [jump("cali-1"), jump("cali-2")]);
    table.setAppends("FORWARD", [jump("cali-3")]);
    await table.apply();
    assert.deepEqual(kinds(kernel.rules("FORWARD")), ["cali-1", "cali-2", "foreign", "cali-3"]);
    kernel.restore([`-I FORWARD ${foreign}`, `-A FORWARD ${foreign}`]);
    table.invalidate();
    await table.apply();
    assert.deepEqual(kinds(kernel.rules("FORWARD")), [
      "cali-1",
      "cali-2",
      "foreign",
      "foreign",
      "foreign",
      "cali-3",
    ]);
  });

  test("puts all behind foreign rules in append mode", async () => {
    const { kernel, table } = setUp("append");
    kernel.restore([`-A FORWARD ${foreign}`]);
    table.setInsertions("FORWARD", [jump("cali-1")]);
    table.setAppends("FORWARD", [jump("cali-3")]);
    await table.apply();
    assert.deepEqual(kinds(kernel.rules("FORWARD")), ["foreign", "cali-1", "cali-3"]);
    table.invalidate();
    assert.equal(await table.apply(), undefined);
  });

  test("does not look at the kernel when nothing changed", async () => {
    const { kernel, table } = setUp();
    table.setChains([{ name: "cali-a", rules: [drop] }]);
    table.setInsertions("INPUT", [jump("cali-a")]);
    await table.apply();
    const calls = kernel.calls.length;
    table.setChains([{ name: "cali-a", rules: [drop] }]);
    table.setInsertions("INPUT", [jump("cali-a")]);
    assert.equal(table.dirty, false);
    await table.apply();
    assert.equal(kernel.calls.length, calls);
  });

  test("writes counts what reached the kernel, and neither looks nor failures", async () => {
    const { kernel, table } = setUp();
    table.setAppends("FORWARD", [drop]);
    kernel.failNext("busy");
    await table.apply().catch(() => undefined);
    const before = table.writes;
    table.setAppends("FORWARD", [drop, drop]);
    await table.apply();
    assert.ok(table.writes > before);
    const { writes } = table;
    table.invalidate();
    await table.apply();
    assert.equal(table.writes, writes);
  });

  test("a failure leaves it dirty, and the next apply does it", async () => {
    const { kernel, table } = setUp();
    table.setInsertions("INPUT", [jump("cali-a")]);
    kernel.failNext("iptables-nft-save: out of memory");
    await assert.rejects(table.apply(), (error) => {
      assert.ok(error instanceof IptablesError);
      assert.equal(
        error.message,
        "Cannot read IPv4 table filter: iptables-nft-save: out of memory",
      );
      return error.code === "save-failed";
    });
    assert.equal(table.dirty, true);
    assert.ok(await table.apply());
  });

  test("reads again and plans anew when another writer came between", async () => {
    const { kernel, table } = setUp();
    kernel.restore([":cali-old - [0:0]"]);
    table.setInsertions("INPUT", [jump("cali-a")]);
    await table.apply();
    table.setInsertions("INPUT", [jump("cali-b")]);
    const ours = kernel.rules("INPUT")?.[0] ?? "";
    kernel.beforeNextRestore(() => kernel.restore([`-D INPUT ${ours}`]));
    await table.apply();
    assert.deepEqual(kinds(kernel.rules("INPUT")), ["cali-b"]);
  });

  test("what only grows is not written anew, but by nft programs that miscount", async () => {
    const from = (address: number): Rule => ({
      match: [{ kind: "net", side: "source", net: parseIpAddr(`10.0.0.${address}`) }],
      action: { kind: "accept" },
    });
    const pods = (...numbers: readonly number[]) => [
      { name: "cali-a", rules: [...numbers.map(from), drop], separate: true },
    ];
    const linesOf = async (version: string) => {
      const kernel = new FakeIptables("filter", ["INPUT"]);
      const table = new IptablesTable(
        { table: "filter", family: 4, backend: { ...backend, kind: "nft", version } },
        { exec: kernel },
      );
      table.setInsertions("INPUT", [jump("cali-a")]);
      table.setChains(pods(1, 3));
      await table.apply();
      table.setChains(pods(1, 2, 3, 4));
      const plan = await table.apply();
      assert.equal(await table.check(), true);
      table.setChains(pods(1, 2, 4));
      await table.apply();
      assert.equal(await table.check(), true);
      return plan?.write.map((line) => line.split(" ").slice(0, 3).join(" "));
    };
    assert.deepEqual(await linesOf("1.8.3"), ["-I cali-a 2", "-I cali-a 4"]);
    assert.equal((await linesOf("1.8.2"))?.[0], ":cali-a - [0:0]");
  });

  test("writes and deletes in one transaction", async () => {
    const { kernel, table } = setUp();
    table.setInsertions("INPUT", [jump("cali-a")]);
    await table.apply();
    const before = kernel.calls.length;
    table.setInsertions("INPUT", [jump("cali-b")]);
    await table.apply();
    assert.deepEqual(kernel.calls.slice(before), ["iptables-nft-save", "iptables-nft-restore"]);
    assert.equal(kernel.rules("cali-a"), undefined);
  });

  test("a chain that the kernel does not let go does not stop the rest", async () => {
    const { kernel, table } = setUp();
    table.setInsertions("INPUT", [jump("cali-a")]);
    await table.apply();
    kernel.hold("cali-a");
    table.setInsertions("INPUT", [jump("cali-b")]);
    await assert.rejects(table.apply(), /Cannot write IPv4 table filter/);
    assert.deepEqual(kinds(kernel.rules("INPUT")), ["cali-b"]);
    assert.deepEqual(kernel.rules("cali-a"), []);
    assert.equal(table.dirty, true);
  });

  test("check() says no and makes dirty when somebody changed our rules, and writes nothing", async () => {
    const { kernel, table } = setUp();
    table.setInsertions("INPUT", [jump("cali-a")]);
    await table.apply();
    assert.equal(await table.check(), true);
    kernel.restore([":cali-a - [0:0]"]);
    const before = kernel.save();
    assert.equal(await table.check(), false);
    assert.equal(table.dirty, true);
    assert.equal(kernel.save(), before);
  });

  test("takes all chains of a call or none", () => {
    const { table } = setUp();
    const bad: Chain = { name: "cali-b", rules: [jump("not a name")] };
    table.setInsertions("INPUT", [jump("cali-a")]);
    assert.throws(
      () => table.setChains([{ name: "cali-a", rules: [jump("cali-z")] }, bad]),
      InputError,
    );
    assert.deepEqual(table.size, { chains: 1, rules: 2 }, "only the stand-in for cali-a");
  });

  test("neededSets() names the sets of programmed chains", () => {
    const { table } = setUp();
    const set = (name: string): Rule => ({ match: [{ kind: "ipSet", side: "source", set: name }] });
    table.setChains([
      { name: "cali-a", rules: [set("cali40s:a"), set("cali40s:b")] },
      { name: "cali-unused", rules: [set("cali40s:c")] },
    ]);
    table.setInsertions("INPUT", [jump("cali-a")]);
    assert.deepEqual([...table.neededSets()], ["cali40s:a", "cali40s:b"]);
  });
});

test("from any kernel state, one apply makes it as desired, and the next finds nothing to do", async () => {
  const names = fc.constantFrom("cali-a", "cali-b", "cali-c");
  const rule = fc.oneof(names.map(jump), fc.constant(drop));
  const rules = fc.array(rule, { maxLength: 3 });
  const state = fc.record({
    chains: fc.dictionary(names, rules),
    insertions: fc.dictionary(fc.constantFrom("INPUT", "FORWARD"), rules),
    appends: fc.dictionary(fc.constantFrom("INPUT", "FORWARD"), rules),
  });
  const meddling = fc.array(
    fc.constantFrom(
      `-I FORWARD ${foreign}`,
      `-A INPUT ${foreign}`,
      ":cali-a - [0:0]",
      ":cali-z - [0:0]",
      ":felix-old - [0:0]",
    ),
  );
  await fc.assert(
    fc.asyncProperty(state, meddling, state, async (first, lines, second) => {
      const { kernel, table } = setUp();
      const fill = async (to: typeof first, target: IptablesTable): Promise<void> => {
        target.setChains(
          Object.entries(to.chains).map(([name, some]) => {
            return { name, rules: some, separate: name === "cali-c" };
          }),
        );
        for (const [name, some] of Object.entries(to.insertions)) target.setInsertions(name, some);
        for (const [name, some] of Object.entries(to.appends)) target.setAppends(name, some);
        await target.apply();
      };
      await fill(first, table);
      kernel.restore(lines);
      const count = (): number =>
        kernel
          .save()
          .split("\n")
          .filter((line) => line.endsWith(foreign)).length;
      const foreignBefore = count();
      // A fresh process, that remembers nothing.
      const fresh = new IptablesTable({ table: "filter", family: 4, backend }, { exec: kernel });
      await fill(second, fresh);
      assert.equal(await fresh.check(), true);
      assert.equal(count(), foreignBefore);
      // Nothing of the first state is left: an empty kernel ends in the same chains.
      const other = setUp();
      await fill(second, other.table);
      const chains = (text: string): string[] =>
        text
          .split("\n")
          .filter((line) => line.startsWith(":cali") || line.includes("cali:"))
          .sort();
      assert.deepEqual(chains(kernel.save()), chains(other.kernel.save()));
    }),
    { numRuns: 300 },
  );
});
