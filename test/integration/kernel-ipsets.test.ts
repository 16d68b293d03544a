import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { IpSets } from "../../src/kernel/ipset/ip-sets.ts";
import { inNetns } from "../../src/kernel/netns.ts";
import type { IpFamily } from "../../src/lib/ip-addr.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";

describe("IP sets of the kernel", { skip: cannotMakeNetns() }, () => {
  let netns: TestNetns;
  const open: IpSets[] = [];

  before(() => {
    netns = new TestNetns("ipset");
  });

  afterEach(() => {
    for (const sets of open.splice(0)) sets.close();
    netns.run("iptables", ["-F"]);
    netns.run("ipset", ["destroy"]);
  });

  after(() => netns.remove());

  /** Like a process that has just started: it remembers nothing. */
  function fresh(family: IpFamily = 4): IpSets {
    const sets = inNetns(netns.fd, () => new IpSets(family, family === 4 ? "cali40" : "cali60"));
    open.push(sets);
    return sets;
  }

  /** Sets by name: the line that creates each, and its members as ipset(8) shows them. */
  function saved(): Map<string, { readonly create: string; readonly members: readonly string[] }> {
    const sets = new Map<string, { create: string; members: string[] }>();
    for (const line of netns.run("ipset", ["save"]).split("\n")) {
      const [verb, name = "", ...rest] = line.split(" ");
      if (verb === "create") sets.set(name, { create: rest.join(" "), members: [] });
      if (verb === "add") sets.get(name)?.members.push(rest.join(" "));
    }
    for (const { members } of sets.values()) members.sort();
    return sets;
  }

  const membersOf = (name: string) => saved().get(name)?.members;
  const net = (...members: string[]) => ({
    type: "hash:net" as const,
    members: new Set(members),
  });

  async function destroyAll(sets: IpSets): Promise<void> {
    while (await sets.destroyUnused());
  }

  test("hash:net and hash:ip,port of both families are as ipset save shows them", async () => {
    const ports = new Set(["10.0.0.1,tcp:80", "10.0.0.1,udp:53", "fd00::1,sctp:9999"]);
    const nets = net("10.0.0.0/26", "10.0.0.1/32", "10.0.0.2", "0.0.0.0/0", "fd00::/64", "::/0");
    for (const family of [4, 6] as const) {
      const sets = fresh(family);
      sets.set(`cali${family}0s:nets`, nets);
      sets.set(`cali${family}0n:ports`, { type: "hash:ip,port", members: ports, maxElements: 999 });
      await sets.apply();
    }
    const all = saved();
    assert.match(all.get("cali40s:nets")?.create ?? "", /^hash:net family inet .*maxelem 1048576/);
    assert.match(
      all.get("cali60n:ports")?.create ?? "",
      /^hash:ip,port family inet6 .*maxelem 999/,
    );
    const shown = [...all].map(([name, { members }]) => `${name}: ${members.join(" ")}`);
    assert.deepEqual(shown.sort(), [
      "cali40n:ports: 10.0.0.1,tcp:80 10.0.0.1,udp:53",
      "cali40s:nets: 0.0.0.0/1 10.0.0.0/26 10.0.0.1 10.0.0.2 128.0.0.0/1",
      "cali60n:ports: fd00::1,sctp:9999",
      "cali60s:nets: 8000::/1 ::/1 fd00::/64",
    ]);
  });

  const many = (count: number, form: (i: number) => string) =>
    new Set(Array.from({ length: count }, (_, i) => form(i)));
  const bigSets = [
    [4, "hash:net", (i: number) => `10.1.${i >> 8}.${i & 255}/32`],
    [4, "hash:ip,port", (i: number) => `10.1.${i >> 8}.${i & 255},tcp:${1 + i}`],
    [6, "hash:net", (i: number) => `fd00::${(i + 1).toString(16)}/128`],
    [6, "hash:ip,port", (i: number) => `fd00::${(i + 1).toString(16)},tcp:${1 + i}`],
  ] as const;

  for (const [family, type, form] of bigSets) {
    test(`5,000 members of IPv${family} ${type}: a restart changes nothing, a delta little`, async () => {
      const name = `cali${family}0s:big`;
      const members = many(5_000, form);
      const first = fresh(family);
      first.set(name, { type, members });
      await first.apply();
      const before = membersOf(name) ?? [];
      assert.equal(before.length, 5_000);
      // Were a member not read back as it is written, the restart would remove it as unwanted.
      const second = fresh(family);
      const changed = new Set(members);
      changed.delete(form(7));
      changed.add(form(6_000));
      second.set(name, { type, members: changed });
      await second.apply();
      const after = new Set(membersOf(name));
      assert.equal(after.size, 5_000);
      const gone = before.filter((member) => !after.has(member));
      assert.deepEqual(gone, [form(7).replace(/\/\d+$/, "")]);
      second.set(name, { type, members: new Set() });
      await second.apply();
      assert.deepEqual(membersOf(name), []);
    });
  }

  test("a set that is given anew while sets are written is never empty", async () => {
    const sets = fresh();
    const give = (member: string) =>
      sets.set("cali40a", { type: "hash:net", members: new Set([member]) });
    give("10.0.0.1");
    const applied = sets.apply();
    give("10.0.0.2");
    await applied;
    assert.deepEqual(saved().get("cali40a")?.members, ["10.0.0.1"]);
    await sets.apply();
    assert.deepEqual(saved().get("cali40a")?.members, ["10.0.0.2"]);
  });

  test("changes since the last apply are applied as a delta", async () => {
    const sets = fresh();
    sets.set("cali40s:a", net("10.0.0.1/32", "10.0.0.2/32"));
    await sets.apply();
    netns.run("ipset", ["add", "cali40s:a", "10.9.9.9"]);
    sets.set("cali40s:a", net("10.0.0.2/32", "10.0.0.3/32"));
    await sets.apply();
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.2", "10.0.0.3", "10.9.9.9"]);
    sets.resync();
    await sets.apply();
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.2", "10.0.0.3"]);
  });

  test("what is told as a change is all that is sent, before a set is made and after", async () => {
    const sets = fresh();
    const change = (add: string[], remove: string[]) =>
      sets.change("cali40s:a", { add: new Set(add), remove: new Set(remove) });
    sets.set("cali40s:a", net("10.0.0.1/32", "10.0.0.2/32"));
    change(["10.0.0.3/32", "fd00::1/128"], ["10.0.0.1/32"]);
    await sets.apply();
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.2", "10.0.0.3"]);
    change(["10.0.0.4/32"], ["10.0.0.2/32"]);
    change(["10.0.0.2/32"], ["10.0.0.4/32", "10.0.0.3/32"]);
    await sets.apply();
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.2"]);
    netns.run("ipset", ["add", "cali40s:a", "10.9.9.9"]);
    change(["10.0.0.5/32"], []);
    sets.resync();
    await sets.apply();
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.2", "10.0.0.5"]);
  });

  test("a set that went behind our back is made again", async () => {
    const sets = fresh();
    sets.set("cali40s:a", net("10.0.0.1/32"));
    await sets.apply();
    netns.run("ipset", ["destroy", "cali40s:a"]);
    sets.set("cali40s:a", net("10.0.0.2/32"));
    await assert.rejects(sets.apply(), { errno: 2, message: /cali40s:a/ });
    await sets.apply();
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.2"]);
  });

  test("leftovers of an earlier run go, those of others stay", async () => {
    for (const name of ["cali40s:old", "cali4t0", "cali60s:other-family", "foreign"]) {
      netns.run("ipset", ["create", name, "hash:net"]);
    }
    const sets = fresh();
    sets.set("cali40s:new", net("10.0.0.1/32"));
    await sets.apply();
    assert.ok(saved().has("cali40s:old"));
    await destroyAll(sets);
    assert.deepEqual([...saved().keys()].sort(), [
      "cali40s:new",
      "cali60s:other-family",
      "foreign",
    ]);
  });

  test("apply() makes only the sets that are needed, and destroyUnused() takes the others", async () => {
    const sets = fresh();
    sets.set("cali40s:a", net("10.0.0.1/32"));
    sets.set("cali40s:b", net("10.0.0.2/32"));
    await sets.apply(new Set(["cali40s:a"]));
    assert.deepEqual([...saved().keys()], ["cali40s:a"]);
    await sets.apply();
    while (await sets.destroyUnused(new Set(["cali40s:b"])));
    assert.deepEqual([...saved().keys()], ["cali40s:b"]);
    await sets.apply();
    assert.deepEqual([...saved().keys()].sort(), ["cali40s:a", "cali40s:b"]);
  });

  function useInRule(set: string, flags = "src"): void {
    netns.run("iptables", ["-A", "INPUT", "-m", "set", "--match-set", set, flags, "-j", "ACCEPT"]);
  }

  test("destroyUnused() leaves a set that a rule uses, takes the others, and tries again", async () => {
    const sets = fresh();
    for (const name of ["cali40s:a", "cali40s:used", "cali40s:z"]) sets.set(name, net());
    await sets.apply();
    useInRule("cali40s:used");
    for (const name of sets.desiredNames()) sets.delete(name);
    await sets.apply();
    await destroyAll(sets);
    assert.deepEqual([...saved().keys()], ["cali40s:used"]);
    netns.run("iptables", ["-F"]);
    await destroyAll(sets);
    assert.deepEqual([...saved().keys()], []);
  });

  test("a set in use that gets another size is replaced by a swap: the rule sees the new one", async () => {
    const sets = fresh();
    sets.set("cali40s:a", { ...net("10.0.0.1/32"), maxElements: 1000 });
    await sets.apply();
    useInRule("cali40s:a");
    sets.set("cali40s:a", { ...net("10.0.0.2/32"), maxElements: 2000 });
    await sets.apply();
    assert.match(saved().get("cali40s:a")?.create ?? "", /maxelem 2000.*/);
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.2"]);
    assert.deepEqual([...saved().keys()], ["cali40s:a"]);
    assert.match(netns.run("iptables", ["-S"]), /match-set cali40s:a src/);
  });

  test("a hash:ip leftover becomes hash:net", async () => {
    netns.run("ipset", ["create", "cali40s:a", "hash:ip"]);
    netns.run("ipset", ["add", "cali40s:a", "10.0.0.9"]);
    const sets = fresh();
    sets.set("cali40s:a", net("10.0.0.0/26"));
    await sets.apply();
    assert.match(saved().get("cali40s:a")?.create ?? "", /^hash:net /);
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.0/26"]);
    assert.deepEqual([...saved().keys()], ["cali40s:a"]);
  });

  test("a hash:ip leftover that a rule uses stays as it is until the rule is gone", async () => {
    netns.run("ipset", ["create", "cali40s:a", "hash:ip"]);
    netns.run("ipset", ["add", "cali40s:a", "10.0.0.9"]);
    useInRule("cali40s:a");
    const sets = fresh();
    sets.set("cali40s:a", net("10.0.0.0/26"));
    sets.set("cali40s:b", net("10.0.0.3/32"));
    // The kernel swaps only sets of one type, and destroys none that is in use.
    await assert.rejects(sets.apply(), { errno: 4100 });
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.9"]);
    assert.deepEqual([...saved().keys()].sort(), ["cali40s:a", "cali40s:b"]);
    netns.run("iptables", ["-F"]);
    await sets.apply();
    assert.match(saved().get("cali40s:a")?.create ?? "", /^hash:net /);
    assert.deepEqual(membersOf("cali40s:a"), ["10.0.0.0/26"]);
  });

  test("a set that fails does not stop the others, and is tried again", async () => {
    const sets = fresh();
    sets.set("cali40s:full", { ...net("10.0.0.1/32", "10.0.0.2/32"), maxElements: 1 });
    sets.set("cali40s:good", net("10.0.0.3/32"));
    await assert.rejects(sets.apply(), { message: /cali40s:full: the set is full$/, errno: 4352 });
    assert.deepEqual(membersOf("cali40s:good"), ["10.0.0.3"]);
    sets.set("cali40s:full", { ...net("10.0.0.1/32", "10.0.0.2/32"), maxElements: 2 });
    await sets.apply();
    assert.deepEqual(membersOf("cali40s:full"), ["10.0.0.1", "10.0.0.2"]);
  });
});
