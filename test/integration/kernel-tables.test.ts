import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Kernel, RoutingRule } from "../../src/kernel/kernel.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import type { MacAddr } from "../../src/lib/mac.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";

describe("neighbors, forwarding entries and rules of the kernel", {
  skip: cannotMakeNetns(),
}, () => {
  let netns: TestNetns;
  let kernel: Kernel;
  let vxlan = 0;
  let veth = 0;

  before(async () => {
    netns = new TestNetns("table");
    netns.addVeth("v0", "v1");
    netns.ip("link add vx type vxlan id 42 dstport 4789 local 192.0.2.1 nolearning");
    netns.ip("link set vx up");
    kernel = openLinuxKernel({ netnsFd: netns.fd });
    vxlan = (await kernel.links.get("vx"))?.ifindex ?? 0;
    veth = (await kernel.links.get("v0"))?.ifindex ?? 0;
  });

  after(() => {
    kernel.close();
    netns.remove();
  });

  const mac = (last: number) => `66:00:00:00:00:${String(last).padStart(2, "0")}` as MacAddr;

  test("neighbors are permanent, replaced, listed and removed", async () => {
    const one = { ifindex: vxlan, address: "10.0.0.1" as IpAddr, mac: mac(1) };
    const two = { ifindex: vxlan, address: "fd00::1" as IpAddr, mac: mac(2) };
    const elsewhere = { ifindex: veth, address: "10.0.0.1" as IpAddr, mac: mac(3) };
    const all = [one, two, elsewhere].map((entry) => ({ ...entry, state: "permanent" as const }));
    assert.deepEqual(await kernel.neighbors.replace(all), []);
    const moved = all.map((entry) => (entry.ifindex === veth ? entry : { ...entry, mac: mac(9) }));
    assert.deepEqual(await kernel.neighbors.replace(moved), []);
    const shown = netns
      .ipJson<{ dst: string; dev: string; lladdr: string; state: string[] }>("neigh show nud all")
      .filter(({ state }) => state.includes("PERMANENT"))
      .map((row) => `${row.dev} ${row.dst} ${row.lladdr}`);
    assert.deepEqual(shown.sort(), [
      `v0 10.0.0.1 ${mac(3)}`,
      `vx 10.0.0.1 ${mac(9)}`,
      `vx fd00::1 ${mac(9)}`,
    ]);
    const list = async (filter: Parameters<Kernel["neighbors"]["list"]>[0]) =>
      (await kernel.neighbors.list(filter)).filter(({ state }) => state === "permanent");
    assert.deepEqual(await list({ ifindex: vxlan, family: 4 }), [moved[0]]);
    assert.deepEqual(await list({ ifindex: vxlan, family: 6 }), [moved[1]]);
    assert.equal((await list({})).length, 3);
    assert.deepEqual(await kernel.neighbors.remove([...all, ...all]), []);
    assert.deepEqual(await list({}), []);
  });

  test("a refused neighbor does not stop the others", async () => {
    const bad = { ifindex: 4711, address: "10.0.0.2" as IpAddr, mac: mac(1) };
    const good = { ifindex: vxlan, address: "10.0.0.3" as IpAddr, mac: mac(1) };
    const entries = [bad, good].map((entry) => ({ ...entry, state: "permanent" as const }));
    const failures = await kernel.neighbors.replace(entries);
    assert.deepEqual(
      failures.map(({ entry, errno }) => [entry.address, errno]),
      [["10.0.0.2", 19]],
    );
    assert.match(netns.ip("neigh show dev vx"), /10\.0\.0\.3 lladdr 66:00:00:00:00:01 PERMANENT/);
    await kernel.neighbors.remove(entries);
  });

  test("forwarding entries are as bridge shows them", async () => {
    const entries = [1, 2].map((last) => ({
      ifindex: vxlan,
      mac: mac(last),
      destination: `192.0.2.1${last}` as IpAddr,
    }));
    assert.deepEqual(await kernel.fdb.replace(entries), []);
    const moved = { ...entries[0], destination: "192.0.2.99" as IpAddr } as (typeof entries)[0];
    assert.deepEqual(await kernel.fdb.replace([moved]), []);
    const shown = JSON.parse(netns.run("bridge", ["-j", "fdb", "show", "dev", "vx"])) as {
      readonly mac: string;
      readonly dst?: string;
      readonly flags: readonly string[];
      readonly state: string;
    }[];
    const ours = shown.filter((row) => row.mac.startsWith("66:"));
    assert.ok(ours.every(({ flags, state }) => flags.includes("self") && state === "permanent"));
    assert.deepEqual(ours.map((row) => `${row.mac} ${row.dst}`).sort(), [
      `${mac(1)} 192.0.2.99`,
      `${mac(2)} 192.0.2.12`,
    ]);
    const listed = await kernel.fdb.list(vxlan);
    assert.deepEqual(
      listed.toSorted((a, b) => (a.mac < b.mac ? -1 : 1)),
      [moved, entries[1]],
    );
    assert.deepEqual(await kernel.fdb.list(veth), []);
    assert.deepEqual(await kernel.fdb.remove([...listed, ...listed]), []);
    assert.deepEqual(await kernel.fdb.list(vxlan), []);
  });

  for (const family of [4, 6] as const) {
    test(`IPv${family} rules come, are listed as ip rule shows them, and go`, async () => {
      const rule: RoutingRule = {
        family,
        priority: 99,
        table: 1234,
        mark: 0x100000,
        mask: 0x100000,
        invert: true,
      };
      const plain: RoutingRule = { family, priority: 98, table: 77 };
      for (const wanted of [rule, rule, plain]) await kernel.rules.add(wanted);
      const shown = netns.ip(`-${family} rule show`).replaceAll("\t", " ");
      assert.match(shown, /^99: not from all fwmark 0x100000\/0x100000 lookup 1234/m);
      assert.match(shown, /^98: from all lookup 77/m);
      assert.equal(shown.match(/^99:/gm)?.length, 1);
      const listed = await kernel.rules.list(family);
      assert.deepEqual(
        listed.filter(({ priority }) => priority === 99),
        [rule],
      );
      assert.ok(listed.some((entry) => entry.priority === 98 && entry.table === 77));
      for (const gone of [rule, rule, plain]) await kernel.rules.remove(gone);
      assert.doesNotMatch(netns.ip(`-${family} rule show`), /^9[89]:/m);
    });
  }

  test("rules that select by more than a mark are no rules of ours", async () => {
    const foreign = [
      "from 10.0.0.0/8 table 77 pref 50",
      "to 10.0.0.0/8 table 77 pref 51",
      "iif lo table 77 pref 52",
      "oif v0 table 77 pref 53",
      "ipproto tcp dport 80 table 77 pref 54",
      "uidrange 1-2 table 77 pref 55",
      "from all prohibit pref 56",
    ];
    for (const words of foreign) netns.ip(`rule add ${words}`);
    const listed = await kernel.rules.list(4);
    assert.deepEqual(listed.map(({ priority }) => priority).sort(), [0, 32766, 32767]);
  });
});
