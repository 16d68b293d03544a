import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Kernel, WireguardPeer } from "../../src/kernel/kernel.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import { isErrno } from "../../src/kernel/netlink/netlink-error.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../src/lib/prefix.ts";
import { Secret } from "../../src/lib/secret.ts";
import { fakeKey } from "../support/fake-wireguard.ts";
import { TestNetns } from "../support/netns.ts";

/** WireGuard devices of two namespaces, joined by a cable, by the kernel port alone. */

const port = 51_820;
const presharedKey = new Secret(fakeKey(9));

interface End {
  readonly netns: TestNetns;
  readonly kernel: Kernel;
  readonly ifindex: number;
  readonly publicKey: string;
  readonly address: string;
}

const open: { close(): void }[] = [];
const namespaces: TestNetns[] = [];
after(() => {
  for (const each of open) each.close();
  for (const each of namespaces) each.remove();
});

async function endOf(netns: TestNetns, number: number): Promise<End> {
  netns.ip(`address add 192.168.9.${number}/24 dev eth0`);
  const kernel = openLinuxKernel({ netnsFd: netns.fd });
  open.push(kernel);
  await kernel.links.addWireguard("wg0", 1420);
  const link = await kernel.links.get("wg0");
  assert.equal(link?.type, "wireguard");
  const { ifindex } = link;
  await kernel.wireguard.set(ifindex, { listenPort: port, mark: 0x200000 });
  assert.equal((await kernel.wireguard.get(ifindex))?.publicKey, undefined);
  await kernel.wireguard.renewKey(ifindex);
  const device = await kernel.wireguard.get(ifindex);
  assert.ok(device?.publicKey);
  assert.deepEqual(device, { ...device, listenPort: port, mark: 0x200000, peers: [] });
  netns.ip(`address add 10.9.0.${number}/24 dev wg0`);
  netns.ip("link set wg0 up");
  return { netns, kernel, ifindex, publicKey: device.publicKey, address: `192.168.9.${number}` };
}

function peerOf({ publicKey, address }: End, allowed: string): WireguardPeer {
  return {
    publicKey,
    presharedKey,
    endpoint: { address: parseIpAddr(address), port },
    keepaliveSeconds: 25,
    allowed: [parsePrefix(allowed)],
  };
}

test("two devices speak with each other, and tell what was set", async () => {
  namespaces.push(new TestNetns("a"), new TestNetns("b"));
  const [left, right] = namespaces as [TestNetns, TestNetns];
  left.addVeth("eth0", "eth0", right);
  const a = await endOf(left, 1);
  const b = await endOf(right, 2);
  assert.notEqual(a.publicKey, b.publicKey);
  assert.deepEqual(await a.kernel.wireguard.setPeers(a.ifindex, [peerOf(b, "10.9.0.2/32")]), []);
  assert.deepEqual(await b.kernel.wireguard.setPeers(b.ifindex, [peerOf(a, "10.9.0.1/32")]), []);
  left.run("ping", ["-c1", "-W20", "10.9.0.2"]);
  const [peer] = (await a.kernel.wireguard.get(a.ifindex))?.peers ?? [];
  assert.ok(peer?.lastHandshake && peer.receivedBytes && peer.sentBytes, JSON.stringify(peer));
  assert.equal(peer.presharedKey?.reveal(), presharedKey.reveal());
  const { lastHandshake: _at, receivedBytes: _in, sentBytes: _out, ...set } = peer;
  assert.deepEqual(JSON.stringify(set), JSON.stringify(peerOf(b, "10.9.0.2/32")));

  await removeAndMove(a, b);
});

async function removeAndMove(a: End, b: End): Promise<void> {
  const { wireguard } = a.kernel;
  // Many peers, one of them with addresses for more than one message each way.
  const many = Array.from({ length: 200 }, (_, i) => ({
    publicKey: Buffer.alloc(32, `peer ${i} `).toString("base64"),
    keepaliveSeconds: 0,
    allowed:
      i > 0
        ? [parsePrefix(`10.${100 + (i >> 8)}.${i & 255}.0/24`)]
        : Array.from({ length: 1500 }, (_, j) => parsePrefix(`172.16.${j >> 8}.${j & 255}/32`)),
  }));
  assert.deepEqual(await wireguard.setPeers(a.ifindex, many), []);
  const sorted = (peers: readonly WireguardPeer[]) =>
    new Map(peers.map(({ publicKey, allowed }) => [publicKey, [...allowed].sort()]));
  const listed = sorted((await wireguard.get(a.ifindex))?.peers ?? []);
  listed.delete(b.publicKey);
  assert.deepEqual(listed, sorted(many));
  assert.deepEqual(await wireguard.removePeers(a.ifindex, many), []);
  assert.deepEqual(await wireguard.removePeers(a.ifindex, many.slice(0, 1)), [], "gone already");
  // An address belongs to the peer that got it last.
  const thief = { ...peerOf(a, "10.9.0.2/32"), publicKey: fakeKey(7) };
  await wireguard.setPeers(a.ifindex, [thief]);
  const left = sorted((await wireguard.get(a.ifindex))?.peers ?? []);
  assert.deepEqual(left.get(b.publicKey), []);
  assert.deepEqual(left.get(thief.publicKey), ["10.9.0.2/32"]);
  await a.kernel.links.remove(a.ifindex);
  await assert.rejects(wireguard.get(a.ifindex), (error) => isErrno(error, 19));
}
