import assert from "node:assert/strict";
import { test } from "node:test";
import { sweepLeftovers } from "../../../../src/felix/dataplane/leftovers.ts";
import type { ExecHelper } from "../../../../src/kernel/exec-helper.ts";
import type { IptablesBackend } from "../../../../src/kernel/iptables/backend.ts";
import { type TableName, tableNames } from "../../../../src/kernel/iptables/model.ts";
import { IptablesTable } from "../../../../src/kernel/iptables/tables.ts";
import type { IpFamily } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { FakeIptables } from "../../kernel/iptables/fake-iptables.ts";

const features = { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true };
const kinds = ["nft", "legacy"] as const;

function backendOf(kind: "nft" | "legacy"): IptablesBackend {
  return { kind, variant: `-${kind}`, version: "1.8.9", features };
}

/** A host whose tables, of both backends and families, hold a rule of ours and one of somebody else. */
async function setUp() {
  const tables = new Map<string, FakeIptables>();
  let failing = false;
  const exec = {
    run: async (program: string, args: readonly string[], options: { stdin?: string } = {}) => {
      if (args[0] === "--version") {
        const kind = program.includes("legacy") ? "legacy" : "nf_tables";
        return { code: 0, stdout: `iptables v1.8.9 (${kind})`, stderr: "" };
      }
      if (failing) return { code: 1, stdout: "", stderr: "busy" };
      const table = args[0] === "-t" ? args[1] : /^\*(\w+)/.exec(options.stdin ?? "")?.[1];
      const host = program.replace(/-(save|restore)$/, "");
      const found = tables.get(`${host} ${table}`) ?? assert.fail(`${host} ${table}`);
      return found.run(program, args, options);
    },
  } as unknown as ExecHelper;
  const all = kinds.flatMap((kind) =>
    ([4, 6] as const).flatMap((family) => tableNames.map((table) => ({ kind, family, table }))),
  );
  for (const { kind, family, table } of all) {
    const fake = new FakeIptables(table, ["OUTPUT"]);
    tables.set(nameOf(kind, family, table), fake);
    fake.restore(["-A OUTPUT --jump foreign"]);
    const ours = new IptablesTable({ table, family, backend: backendOf(kind) }, { exec });
    ours.setChains([{ name: "cali-OUTPUT", rules: [{ match: [], action: { kind: "drop" } }] }]);
    ours.setInsertions("OUTPUT", [{ match: [], action: { kind: "jump", chain: "cali-OUTPUT" } }]);
    await ours.apply();
  }
  /** Tables that have something of ours, such as "iptables-nft"; of each all or none. */
  const left = () => {
    const has = all.filter(({ kind, family, table }) => {
      const fake = tables.get(nameOf(kind, family, table)) ?? assert.fail();
      assert.ok(fake.rules("OUTPUT")?.some((rule) => rule.includes("foreign")));
      return fake.rules("cali-OUTPUT") !== undefined || fake.rules("OUTPUT")?.length !== 1;
    });
    return [...new Set(has.map(({ kind, family }) => nameOf(kind, family)))];
  };
  return { exec, left, fail: (now: boolean) => (failing = now) };
}

function nameOf(kind: string, family: IpFamily, table?: TableName): string {
  const host = `${family === 4 ? "iptables" : "ip6tables"}-${kind}`;
  return table === undefined ? host : `${host} ${table}`;
}

function portsOf(exec: ExecHelper) {
  const destroyed: IpFamily[] = [];
  const lines: string[] = [];
  const clock = new FakeClock();
  const ports = {
    exec,
    clock,
    log: createLogger({ name: "felix" }, { write: (line) => void lines.push(line) }),
    legacyTables: () => tableNames,
    hasIpv6: () => true,
    openSets: (family: IpFamily) => ({
      apply: async () => undefined,
      destroyUnused: async () => destroyed.push(family) < 3,
      close: () => undefined,
    }),
  };
  return { ports, destroyed, lines, clock };
}

test("another iptablesBackend leaves nothing of ours in the tables of the one before", async () => {
  for (const kind of kinds) {
    const { exec, left } = await setUp();
    assert.equal(left().length, 4);
    const { ports, destroyed } = portsOf(exec);
    const inUse = { backend: backendOf(kind), ipv6Support: true };
    await sweepLeftovers(inUse, ports)(new AbortController().signal);
    assert.deepEqual(left(), [`iptables-${kind}`, `ip6tables-${kind}`]);
    assert.deepEqual(destroyed, []);
  }
});

test("ipv6Support false leaves no rules and sets of IPv6 that were ours", async () => {
  const { exec, left } = await setUp();
  const { ports, destroyed } = portsOf(exec);
  const inUse = { backend: backendOf("nft"), ipv6Support: false };
  await sweepLeftovers(inUse, ports)(new AbortController().signal);
  assert.deepEqual(left(), ["iptables-nft"]);
  assert.deepEqual(destroyed, [6, 6, 6]);
});

test("legacy tables that are not loaded are not asked for", async () => {
  const { exec, left } = await setUp();
  const { ports } = portsOf(exec);
  const inUse = { backend: backendOf("nft"), ipv6Support: true };
  const unloaded = { ...ports, legacyTables: () => [] };
  await sweepLeftovers(inUse, unloaded)(new AbortController().signal);
  assert.equal(left().length, 4);
});

test("what could not be taken away is told once, and tried again", async () => {
  const { exec, left, fail } = await setUp();
  const { ports, clock, lines } = portsOf(exec);
  fail(true);
  const inUse = { backend: backendOf("nft"), ipv6Support: true };
  const sweeping = sweepLeftovers(inUse, ports)(new AbortController().signal);
  await clock.advanceSlowly(400_000, 10_000);
  assert.equal(lines.filter((line) => line.includes("not taken away")).length, 1);
  fail(false);
  await clock.advanceSlowly(200_000, 10_000);
  await sweeping;
  assert.deepEqual(left(), ["iptables-nft", "ip6tables-nft"]);
});
