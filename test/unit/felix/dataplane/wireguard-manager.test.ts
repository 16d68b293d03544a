import { strict as assert } from "node:assert";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Node } from "../../../../src/api/resources/node.ts";
import type { WireguardDevice } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { block, node, pool } from "../../../states/resources.ts";
import { FakeKernel } from "../../../support/fake-kernel.ts";
import { fakeKey } from "../../../support/fake-wireguard.ts";
import { FelixState } from "../../../support/felix-state.ts";

const folder = mkdtempSync(join(tmpdir(), "tortie-wg-"));
after(() => rmSync(folder, { recursive: true }));

const on = { wireguardEnabled: true };
const bothOn = { wireguardEnabled: true, wireguardEnabledV6: true };
const [EOPNOTSUPP, EPERM] = [95, 1];

interface Key {
  /** Octet of the key. */
  readonly key?: number;
  readonly address?: string;
}

function wireguardNode(name: string, number: number, { key, address }: Key = {}): Node {
  const plain = node(name, `192.168.1.${number}/24`, {
    bgp: { ipv4Address: `192.168.1.${number}/24`, ipv6Address: `fd01::${number}/64` },
    ...(address === undefined ? {} : { wireguard: { interfaceIPv4Address: address } }),
  });
  const keys = { wireguardPublicKey: fakeKey(key ?? 0), wireguardPublicKeyV6: fakeKey(key ?? 0) };
  return key === undefined ? plain : { ...plain, status: keys };
}

const cluster = [
  wireguardNode("node-a", 11, { address: "10.0.0.1" }),
  wireguardNode("node-b", 12, { key: 2, address: "10.0.0.9" }),
  wireguardNode("node-c", 13),
  pool("default", "10.0.0.0/16"),
  pool("six", "fd00::/64"),
  block("10.0.0.0/29", "node-a"),
  block("10.0.0.8/29", "node-b", { 1: "node-b" }),
  block("10.0.0.16/29", "node-c"),
  block("fd00::/125", "node-a"),
  block("fd00::8/125", "node-b"),
];

async function stateOf(
  spec: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>> = {},
  kernel = new FakeKernel(),
): Promise<FelixState> {
  const state = new FelixState(spec, cluster, { kernel, env });
  if ((await kernel.links.get("eth0")) !== undefined) return state;
  const ifindex = kernel.addLink("eth0", { mtu: 1500 });
  await kernel.addresses.add({ ifindex, address: parseIpAddr("192.168.1.11"), length: 24 });
  await kernel.addresses.add({ ifindex, address: parseIpAddr("fd01::11"), length: 64 });
  return state;
}

async function applied(...of: Parameters<typeof stateOf>): Promise<FelixState> {
  const state = await stateOf(...of);
  await state.apply();
  return state;
}

async function linkOf({ kernel }: FelixState, name = "wireguard.cali") {
  const link = await kernel.links.get(name);
  if (link === undefined) return undefined;
  const { ifindex, up, mtu } = link;
  const addresses = await kernel.addresses.list({ ifindex });
  return { ifindex, up, mtu, addresses: addresses.map(({ address }) => address) };
}

async function deviceOf(state: FelixState, name?: string): Promise<WireguardDevice> {
  const link = await linkOf(state, name);
  assert.ok(link, "the device");
  return state.kernel.wireguard.get(link.ifindex);
}

const peersOf = async (state: FelixState) =>
  (await deviceOf(state)).peers.map(({ publicKey }) => publicKey);

test("WireGuard is a device, peers, a table of routes, and a rule that leads to it", async () => {
  const state = await applied(on);
  const { ifindex: _ifindex, ...link } = (await linkOf(state)) ?? { ifindex: 0 };
  assert.deepEqual(link, { up: true, mtu: 1440, addresses: ["10.0.0.1"] });
  const device = await deviceOf(state);
  assert.equal(device.listenPort, 51_820);
  assert.equal(device.mark, 0x200000);
  assert.deepEqual(device.peers, [
    {
      publicKey: fakeKey(2),
      endpoint: { address: "192.168.1.12", port: 51_820 },
      allowed: ["10.0.0.8/29", "10.0.0.9/32"],
      keepaliveSeconds: 0,
    },
  ]);
  assert.deepEqual(state.kernel.text(1), [
    "10.0.0.8/29 dev wireguard.cali scope link",
    "10.0.0.9 dev wireguard.cali scope link",
    "throw 10.0.0.0/29",
    "throw 10.0.0.1",
    "throw 10.0.0.16/29",
  ]);
  assert.deepEqual(await state.kernel.rules.list(4), [
    { family: 4, priority: 99, mark: 0x200000, mask: 0x200000, invert: true, table: 1 },
  ]);
  assert.equal(await linkOf(state, "wg-v6.cali"), undefined, "IPv6 was not asked for");
  assert.match(
    state.rules,
    /-A cali-INPUT .*--dport 51820 .*Allow incoming IPv4 Wireguard|cali-INPUT .*51820/,
  );
  assert.match(state.rules, /-A cali-OUTPUT .*51820/);
  assert.match(state.rules, /-A cali-POSTROUTING .*wireguard\.cali.*MASQUERADE/);
  assert.doesNotMatch(state.rules, /cali-wireguard-incoming-mark/);
});

test("WireGuard of IPv6 has a device, a port and a table of its own", async () => {
  const state = await applied(bothOn);
  assert.equal((await linkOf(state, "wg-v6.cali"))?.mtu, 1420);
  const { listenPort, peers } = await deviceOf(state, "wg-v6.cali");
  assert.equal(listenPort, 51_821);
  assert.deepEqual(
    peers.map(({ endpoint, allowed }) => [endpoint?.address, endpoint?.port, allowed]),
    [["fd01::12", 51_821, ["fd00::8/125"]]],
  );
  assert.deepEqual(state.kernel.text(2), [
    "fd00::8/125 dev wg-v6.cali metric 1024",
    "throw fd00::/125 metric 1024",
  ]);
  const [rule] = await state.kernel.rules.list(6);
  assert.equal(rule?.table, 2);
});

test("the key is made once a device; a device that is deleted comes back with another", async () => {
  const state = await applied(on);
  const first = (await deviceOf(state)).publicKey;
  assert.ok(first);
  assert.deepEqual(state.dataplane.wireguardKeys.own, { 4: first, 6: undefined });
  state.dataplane.resync();
  await state.apply();
  assert.equal((await deviceOf(state)).publicKey, first);
  const link = await state.kernel.links.get("wireguard.cali");
  assert.ok(link);
  await state.kernel.links.remove(link.ifindex);
  assert.equal(state.dataplane.onKernelEvents([{ kind: "link", op: "removed", link }]), true);
  await state.apply();
  assert.deepEqual(await peersOf(state), [fakeKey(2)]);
  assert.equal(state.kernel.text(1).length, 5);
  assert.notEqual((await deviceOf(state)).publicKey, first);
});

test("a new felix takes over the device of the one before it, with its key", async () => {
  const before = await applied(on);
  const { publicKey } = await deviceOf(before);
  const after = await applied(on, {}, before.kernel);
  assert.equal((await deviceOf(after)).publicKey, publicKey);
});

test("where it is not enabled, what an earlier felix left goes: rule, device, routes and key", async () => {
  const { kernel } = await applied(on);
  const others = { family: 4, priority: 50, table: 1 } as const;
  await kernel.rules.add(others);
  const state = await applied({}, {}, kernel);
  assert.deepEqual(await kernel.rules.list(4), [others]);
  assert.equal(await linkOf(state), undefined);
  assert.deepEqual(kernel.text(1), []);
  assert.deepEqual(state.dataplane.wireguardKeys.own, { 4: undefined, 6: undefined });
});

test("a peer that goes is no peer, and packets to it take the main table's way", async () => {
  const state = await applied(on);
  state.update(wireguardNode("node-b", 12, { address: "10.0.0.9" }));
  await state.apply();
  assert.deepEqual(await peersOf(state), []);
  assert.ok(state.kernel.text(1).every((route) => route.startsWith("throw ")));
  state.update(wireguardNode("node-c", 13, { key: 3 }));
  await state.apply();
  assert.deepEqual(await peersOf(state), [fakeKey(3)]);
  state.update(wireguardNode("node-b", 12, { key: 3 }));
  await state.apply();
  assert.deepEqual(await peersOf(state), [], "two that claim one key");
});

test("what somebody changed is mended: peers, port, rule at a resync, routes at their event", async () => {
  const state = await applied(on);
  const { kernel, dataplane } = state;
  const { ifindex, peers } = await deviceOf(state);
  await kernel.wireguard.setPeers(ifindex, [
    { ...(peers[0] ?? assert.fail("no peer")), allowed: [parsePrefix("10.0.0.0/8")] },
    { publicKey: fakeKey(66), keepaliveSeconds: 0, allowed: [] },
  ]);
  await kernel.wireguard.set(ifindex, { listenPort: 1, mark: 0 });
  const [rule] = await kernel.rules.list(4);
  assert.ok(rule);
  await kernel.rules.remove(rule);
  dataplane.resync();
  await state.apply();
  const device = await deviceOf(state);
  assert.deepEqual([device.peers, device.listenPort, device.mark], [peers, 51_820, 0x200000]);
  assert.deepEqual(await kernel.rules.list(4), [rule]);
  const [route] = await kernel.routes.list({ table: 1, family: 4 });
  assert.ok(route);
  const before = kernel.text(1);
  await kernel.routes.remove([route]);
  assert.equal(dataplane.onKernelEvents([{ kind: "route", op: "removed", route }]), true);
  await state.apply();
  assert.deepEqual(kernel.text(1), before);
  assert.equal(dataplane.onKernelEvents([{ kind: "route", op: "set", route }]), false);
});

test("routes that go silently with a device that is set down come back with it", async () => {
  const state = await applied(on);
  const { kernel, dataplane } = state;
  const before = kernel.text(1);
  const link = await kernel.links.get("wireguard.cali");
  assert.ok(link);
  dataplane.onKernelEvents([{ kind: "link", op: "set", link }]);
  await kernel.routes.remove(await kernel.routes.list({ table: 1, family: 4 }));
  await kernel.links.set(link.ifindex, { up: false });
  dataplane.onKernelEvents([{ kind: "link", op: "set", link: { ...link, up: false } }]);
  await state.apply();
  assert.deepEqual(kernel.text(1), before);
  assert.equal((await linkOf(state))?.up, true);
});

test("a kernel without WireGuard has no key, and everything else", async () => {
  const state = await stateOf({ ...on, programClusterRoutes: "Enabled" });
  state.kernel.failNext("links", EOPNOTSUPP);
  await state.apply();
  assert.equal(await linkOf(state), undefined);
  assert.match(state.logged, /nothing is encrypted/);
  assert.deepEqual(await state.kernel.rules.list(4), []);
  assert.deepEqual(state.kernel.text(1), []);
  assert.ok(state.kernel.text().includes("10.0.0.8/29 via 192.168.1.12 dev eth0 proto 80 onlink"));
  state.dataplane.resync();
  await state.apply();
  assert.ok(await linkOf(state), "tried again at the next look");
});

test("what fails is tried again, and the rule waits for nobody", async () => {
  const state = await stateOf(on);
  state.kernel.failNext("wireguard", EPERM);
  await assert.rejects(state.apply(), AggregateError);
  await state.apply();
  assert.deepEqual(await peersOf(state), [fakeKey(2)]);
  assert.equal((await state.kernel.rules.list(4)).length, 1);
});

test("wireguardThreadingEnabled sets what is not there for a device in memory, and says so", async () => {
  const state = await applied({ ...on, wireguardThreadingEnabled: true });
  assert.match(state.logged, /\/sys\/class\/net\/wireguard\.cali\/threaded.*has no effect/);
  assert.deepEqual(await peersOf(state), [fakeKey(2)]);
});

test("a link of the device's name that is none of WireGuard is not touched", async () => {
  const state = await stateOf(on);
  state.kernel.addLink("wireguard.cali", { type: "veth" });
  await assert.rejects(state.apply(), (error: AggregateError) =>
    error.errors.some(({ message }) => /wireguard\.cali .*it is a veth link/.test(message)),
  );
});

test("each parameter acts", async () => {
  const state = await applied(
    {
      ...bothOn,
      wireguardInterfaceName: "wg4",
      wireguardInterfaceNameV6: "wg6",
      wireguardListeningPort: 1111,
      wireguardListeningPortV6: 2222,
      wireguardMTU: 1300,
      wireguardMTUV6: 1310,
      wireguardKeepAlive: "25s",
      wireguardRoutingRulePriority: 77,
      routeTableRanges: [{ min: 252, max: 300 }],
    },
    {},
  );
  assert.deepEqual(
    [(await linkOf(state, "wg4"))?.mtu, (await linkOf(state, "wg6"))?.mtu],
    [1300, 1310],
  );
  const [v4, v6] = [await deviceOf(state, "wg4"), await deviceOf(state, "wg6")];
  assert.deepEqual([v4.listenPort, v6.listenPort], [1111, 2222]);
  assert.deepEqual(
    [v4.peers[0]?.endpoint?.port, v4.peers[0]?.keepaliveSeconds, v6.peers[0]?.keepaliveSeconds],
    [1111, 25, 25],
  );
  const [rule] = await state.kernel.rules.list(4);
  assert.deepEqual([rule?.priority, rule?.table], [77, 252]);
  assert.equal((await state.kernel.rules.list(6))[0]?.table, 256, "253 to 255 are the kernel's");
  const old = await applied({ ...on, routeTableRange: { min: 9, max: 10 } });
  assert.equal((await old.kernel.rules.list(4))[0]?.table, 9);
});

test("wireguardHostEncryptionEnabled puts hosts into the tunnel, and marks what comes from outside", async () => {
  const state = await applied({ ...on, wireguardHostEncryptionEnabled: true });
  const [peer] = (await deviceOf(state)).peers;
  assert.ok(peer?.allowed.includes(parsePrefix("192.168.1.12/32")));
  assert.ok(state.kernel.text(1).includes("192.168.1.12 dev wireguard.cali scope link"));
  assert.ok(state.kernel.text(1).includes("throw 192.168.1.13"));
  const rules = state.rules.split("\n").filter((line) => line.includes("incoming-mark"));
  assert.deepEqual(
    rules.map((line) => line.replaceAll(/ -m comment --comment "\S+"/g, "")),
    [
      ":cali-wireguard-incoming-mark - [0:0]",
      "-A cali-PREROUTING --jump cali-wireguard-incoming-mark",
      "-A cali-wireguard-incoming-mark --in-interface lo --jump RETURN",
      "-A cali-wireguard-incoming-mark --in-interface wireguard.cali --jump RETURN",
      "-A cali-wireguard-incoming-mark --in-interface cali+ --jump RETURN",
      "-A cali-wireguard-incoming-mark --jump MARK --set-mark 0x200000/0x200000",
    ],
  );
});

test("with host encryption the device has the node's address until it gets one of its own", async () => {
  const state = await stateOf({ ...on, wireguardHostEncryptionEnabled: true });
  state.update(wireguardNode("node-a", 11));
  await state.apply();
  assert.deepEqual((await linkOf(state))?.addresses, ["192.168.1.11"]);
  const plain = await stateOf(on);
  plain.update(wireguardNode("node-a", 11));
  await plain.apply();
  assert.deepEqual((await linkOf(plain))?.addresses, []);
});

test("a pre-shared key is every peer's; without its file nobody is a peer, and nothing leaks", async () => {
  const file = join(folder, "psk");
  const env = { FELIX_WIREGUARDPRESHAREDKEYFILE: file };
  const state = await stateOf(on, env);
  const refused = (what: RegExp) =>
    assert.rejects(state.apply(), (error: AggregateError) => {
      const [{ cause, message }] = error.errors;
      return what.test(`${message} ${cause?.message}`) && !/AwMD/.test(`${cause?.message}`);
    });
  await refused(/no such file/);
  assert.deepEqual(await peersOf(state), []);
  assert.ok(state.kernel.text(1).includes("10.0.0.8/29 dev wireguard.cali scope link"));
  writeFileSync(file, `${fakeKey(3)}\n`, { mode: 0o644 });
  await refused(/may be used by others/);
  chmodSync(file, 0o600);
  await state.apply();
  const [peer] = (await deviceOf(state)).peers;
  assert.equal(peer?.presharedKey?.reveal(), fakeKey(3));
  writeFileSync(file, "no key");
  state.dataplane.resync();
  await refused(/holds no key/);
  assert.equal((await deviceOf(state)).peers.length, 1, "what was there stays");
  assert.doesNotMatch(state.logged, /AwMDAwMD/, "the key");
});
