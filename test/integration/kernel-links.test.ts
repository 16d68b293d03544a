import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import type { IpAddr } from "../../src/lib/ip-addr.ts";
import type { MacAddr } from "../../src/lib/mac.ts";
import type { Prefix } from "../../src/lib/prefix.ts";
import { cannotMakeNetns, TestNetns } from "../support/netns.ts";

const hostMac = "ee:ee:ee:ee:ee:ee" as MacAddr;
const tunnelMac = "66:f9:37:c3:7e:94" as MacAddr;
const address = (text: string) => text as IpAddr;

interface LinkRow {
  readonly ifname: string;
  readonly mtu: number;
  readonly address: string;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: object };
}

describe("links of the kernel", { skip: cannotMakeNetns() }, () => {
  let host: TestNetns;
  let pod: TestNetns;
  let kernel: Kernel;
  let podKernel: Kernel;

  before(() => {
    host = new TestNetns("host");
    pod = new TestNetns("pod");
    kernel = openLinuxKernel({ netnsFd: host.fd });
    podKernel = openLinuxKernel({ netnsFd: pod.fd });
  });

  after(() => {
    kernel.close();
    podKernel.close();
    host.remove();
    pod.remove();
  });

  afterEach(async () => {
    for (const link of await kernel.links.list()) {
      if (link.name !== "lo") await kernel.links.remove(link.ifindex);
    }
  });

  const shown = (name: string): LinkRow | undefined =>
    host.ipJson<LinkRow>("-d link show").find(({ ifname }) => ifname === name);

  async function indexOf(name: string): Promise<number> {
    const link = await kernel.links.get(name);
    assert.ok(link, `link ${name}`);
    return link.ifindex;
  }

  const addPair = () =>
    kernel.links.addVeth({
      name: "cali1",
      mac: hostMac,
      mtu: 1450,
      peer: { name: "eth0", mtu: 1440, netnsFd: pod.fd },
    });

  test("of pairs that are added at once each has its own outcome", async () => {
    const names = ["cali2", "cali3", "cali3", "cali4"];
    const added = await Promise.allSettled(
      names.map((name, at) => kernel.links.addVeth({ name, peer: { name: `peer${at}` } })),
    );
    assert.deepEqual(
      added.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected", "fulfilled"],
    );
    const [, , refused] = added;
    assert.match(
      String(refused?.status === "rejected" && refused.reason),
      /add link cali3.*exists/,
    );
  });

  test("a namespace's interfaces are configured at once, and what is refused is named", async () => {
    await addPair();
    const ifindex = podKernel.indexOf("eth0") ?? assert.fail("no eth0");
    assert.equal(podKernel.indexOf("eth1"), undefined);
    const own = { ifindex, address: address("10.65.0.1"), length: 32 };
    const route = {
      table: 254,
      destination: "169.254.1.1/32" as Prefix,
      priority: 0,
      kind: "unicast",
      scope: "link",
      protocol: 3,
      ifindex,
    } as const;
    const setup = { up: [1, ifindex], routes: [route], addresses: [own, own] };
    await podKernel.configure(setup);
    assert.match(pod.ip("-o address show"), /inet 10\.65\.0\.1\/32.*eth0/);
    assert.match(pod.ip("route"), /169\.254\.1\.1 dev eth0/);
    const lost = { ...own, ifindex: 999 };
    await assert.rejects(
      podKernel.configure({ up: [], routes: [], addresses: [lost] }),
      /Cannot add address 10\.65\.0\.1\/32/,
    );
  });

  test("addVeth() makes the host's end up and the peer in its namespace", async () => {
    await addPair();
    const row = shown("cali1");
    assert.equal(row?.address, hostMac);
    assert.equal(row.mtu, 1450);
    assert.equal(row.linkinfo?.info_kind, "veth");
    assert.ok(row.flags.includes("UP"));
    const peer = await podKernel.links.get("eth0");
    assert.equal(peer?.up, false);
    assert.equal(peer.mtu, 1440);
    const link = await kernel.links.get("cali1");
    assert.deepEqual(link, {
      ifindex: link?.ifindex,
      name: "cali1",
      type: "veth",
      up: true,
      running: false,
      mtu: 1450,
      mac: hostMac,
      linkIfindex: peer.ifindex,
    });
    await podKernel.links.set(peer.ifindex, { up: true });
    assert.equal((await kernel.links.get("cali1"))?.running, true);
    await assert.rejects(addPair(), { name: "NetlinkError", errno: 17 });
  });

  test("set() changes what it is given, and nothing else", async () => {
    await addPair();
    const ifindex = await indexOf("cali1");
    await kernel.links.set(ifindex, { mtu: 1400 });
    assert.ok(shown("cali1")?.flags.includes("UP"));
    assert.equal(shown("cali1")?.mtu, 1400);
    await kernel.links.addBridge("br0");
    await kernel.links.set(ifindex, { master: await indexOf("br0") });
    assert.equal(shown("cali1")?.master, "br0");
    await kernel.links.set(ifindex, { up: false, name: "cali2" });
    assert.ok(!shown("cali2")?.flags.includes("UP"));
    await kernel.links.set(ifindex, { netnsFd: pod.fd });
    assert.equal(await kernel.links.get("cali2"), undefined);
    const moved = await podKernel.links.get("cali2");
    assert.equal(moved?.mac, hostMac);
    await podKernel.links.remove(moved.ifindex);
    await assert.rejects(kernel.links.set(4242, { up: true }), { errno: 19 });
  });

  test("remove() leaves the event loop its turns, and a link that is gone is no error", async () => {
    await addPair();
    const ifindex = await indexOf("cali1");
    let turns = 0;
    let isRemoved = false;
    const turn = (): void => {
      turns++;
      if (!isRemoved) setImmediate(turn);
    };
    setImmediate(turn);
    await kernel.links.remove(ifindex);
    isRemoved = true;
    assert.ok(turns > 10, `${turns} turns`);
    await kernel.links.remove(ifindex);
    assert.equal(await podKernel.links.get("eth0"), undefined);
  });

  test("addVxlan(), forwarding entries and neighbors of both families", async () => {
    await addPair();
    const parentIfindex = await indexOf("cali1");
    await kernel.addresses.add({
      ifindex: parentIfindex,
      address: address("10.0.0.1"),
      length: 24,
    });
    const vxlan = {
      vni: 4096,
      port: 4789,
      local: address("10.0.0.1"),
      parentIfindex,
      learning: false,
    };
    await kernel.links.addVxlan({ name: "vxlan.calico", mac: tunnelMac, mtu: 1400, ...vxlan });
    const link = await kernel.links.get("vxlan.calico");
    assert.deepEqual(link?.vxlan, vxlan);
    assert.equal(link.mac, tunnelMac);
    const data = shown("vxlan.calico")?.linkinfo?.info_data as Record<string, unknown>;
    assert.deepEqual([data["id"], data["port"], data["link"]], [4096, 4789, "cali1"]);

    const { ifindex } = link;
    const remote = "66:00:00:00:00:02" as MacAddr;
    const entry = { ifindex, mac: remote, destination: address("10.0.0.9") };
    assert.deepEqual(await kernel.fdb.replace([entry]), []);
    const moved = { ...entry, destination: address("10.0.0.8") };
    assert.deepEqual(await kernel.fdb.replace([moved]), []);
    assert.deepEqual(await kernel.fdb.list(ifindex), [moved]);
    const fdb = host.run("bridge", ["fdb", "show", "dev", "vxlan.calico"]);
    assert.match(fdb, /66:00:00:00:00:02 dst 10\.0\.0\.8 self permanent/);
    assert.deepEqual(await kernel.fdb.remove([moved, moved]), []);
    assert.deepEqual(await kernel.fdb.list(ifindex), []);

    const neighbors = (["10.244.1.0", "fd00:244::1"] as IpAddr[]).map((ip) => ({
      ifindex,
      address: ip,
      mac: remote,
      state: "permanent" as const,
    }));
    assert.deepEqual(await kernel.neighbors.replace(neighbors), []);
    // The kernel adds multicast neighbors of its own.
    const permanent = async (filter: { ifindex?: number; family?: 4 | 6 }) =>
      (await kernel.neighbors.list(filter)).filter(({ state }) => state === "permanent");
    assert.deepEqual(await permanent({ ifindex }), neighbors);
    assert.deepEqual(await permanent({ family: 6 }), neighbors.slice(1));
    const rows = host.ipJson<{ dst: string; lladdr: string; state: string[] }>("neigh show");
    for (const { address: dst } of neighbors) {
      const row = rows.find((candidate) => candidate.dst === dst);
      assert.deepEqual([row?.lladdr, row?.state], [remote, ["PERMANENT"]]);
    }
    assert.deepEqual(await kernel.neighbors.remove([...neighbors, ...neighbors]), []);
    assert.deepEqual(await permanent({ ifindex }), []);
    const [failure] = await kernel.neighbors.replace([
      { ifindex: 4242, address: address("10.1.1.1"), mac: remote, state: "permanent" },
    ]);
    assert.equal(failure?.entry.ifindex, 4242);
  });

  test("addresses are added, listed and removed, each twice without error", async () => {
    await addPair();
    const ifindex = await indexOf("cali1");
    const own = [
      { ifindex, address: address("10.1.0.1"), length: 32, scope: "universe" as const },
      { ifindex, address: address("10.1.0.2"), length: 24, scope: "universe" as const },
      { ifindex, address: address("fd00::5"), length: 128, scope: "universe" as const },
    ];
    for (const entry of [...own, ...own]) await kernel.addresses.add({ ...entry, noDad: true });
    const listed = await kernel.addresses.list({ ifindex });
    assert.deepEqual(
      listed.filter(({ address: ip }) => !ip.startsWith("fe80")),
      own,
    );
    assert.equal((await kernel.addresses.list({ ifindex, family: 4 })).length, 2);
    const [row] = host.ipJson<{ addr_info: { local: string; prefixlen: number; scope: string }[] }>(
      "addr show dev cali1",
    );
    const texts = row?.addr_info.map(
      ({ local, prefixlen, scope }) => `${local}/${prefixlen} ${scope}`,
    );
    for (const text of ["10.1.0.1/32 global", "10.1.0.2/24 global", "fd00::5/128 global"]) {
      assert.ok(texts?.includes(text), `${text} in ${texts}`);
    }
    for (const entry of [...own, ...own]) await kernel.addresses.remove(entry);
    assert.deepEqual(await kernel.addresses.list({ ifindex, family: 4 }), []);
    assert.deepEqual(await kernel.addresses.list({ ifindex: 1_000_000 }), []);
  });

  test("routing rules are added, listed and removed, each twice without error", async () => {
    for (const family of [4, 6] as const) {
      const rule = {
        family,
        priority: 99,
        table: 1000,
        mark: 0x100000,
        mask: 0x100000,
        invert: true,
      };
      await kernel.rules.add(rule);
      await kernel.rules.add(rule);
      const listed = await kernel.rules.list(family);
      assert.deepEqual(
        listed.filter(({ priority }) => priority === 99),
        [rule],
      );
      const text = host.ip(`-${family} rule show`);
      assert.match(text, /99:\tnot from all fwmark 0x100000\/0x100000 lookup 1000/);
      await kernel.rules.remove(rule);
      await kernel.rules.remove(rule);
      assert.deepEqual(
        (await kernel.rules.list(family)).filter(({ priority }) => priority === 99),
        [],
      );
    }
  });

  test("checksum offload of a link is read, and switched off and on", async () => {
    await kernel.links.addVeth({ name: "csum0", peer: { name: "csum1" } });
    assert.equal(await kernel.links.offloadsChecksum("csum0"), true);
    await kernel.links.setChecksumOffload("csum0", false);
    assert.equal(await kernel.links.offloadsChecksum("csum0"), false);
    assert.equal(await kernel.links.offloadsChecksum("csum1"), true);
    await kernel.links.setChecksumOffload("csum0", true);
    assert.equal(await kernel.links.offloadsChecksum("csum0"), true);
    await assert.rejects(
      kernel.links.setChecksumOffload("none0", false),
      /checksum offload of none0/,
    );
  });
});
