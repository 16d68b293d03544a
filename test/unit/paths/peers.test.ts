import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node, NodeSpec } from "../../../src/api/resources/node.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { addressesOf, PeerBook, pathPeer } from "../../../src/paths/peers.ts";

function node(name: string, spec: NodeSpec, key?: string): Node {
  const annotations = key === undefined ? {} : { "tortie.dev/path-check-key": key };
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "Node",
    metadata: { name, annotations },
    spec,
  };
}
const update = (value: Node | null, name = value?.metadata.name ?? "") => ({
  key: { kind: "Node" as const, name },
  value,
});

test("pathPeer() has a node's addresses of both families and all of its tunnels; what cannot be read is absent", () => {
  const spec = {
    bgp: {
      ipv4Address: "192.0.2.1/24",
      ipv6Address: "2001:db8::1/64",
      ipv4IPIPTunnelAddr: "10.0.0.1",
    },
    ipv4VXLANTunnelAddr: "10.0.0.2",
    ipv6VXLANTunnelAddr: "fd00::2",
    wireguard: { interfaceIPv4Address: "10.0.0.3", interfaceIPv6Address: "nonsense" },
  };
  const peer = pathPeer(node("a", spec, "key"));
  assert.deepEqual(addressesOf(peer), [
    "192.0.2.1",
    "2001:db8::1",
    "10.0.0.1",
    "10.0.0.2",
    "fd00::2",
    "10.0.0.3",
  ]);
  assert.equal(peer.publicKey, "key");
  const wrong = pathPeer(node("a", { bgp: { ipv4Address: "192.0.2/24" } }));
  assert.deepEqual([addressesOf(wrong), wrong.publicKey], [[], undefined]);
});

test("a PeerBook knows the nodes' addresses while they have them, and no others", () => {
  const book = new PeerBook("me");
  const at = (address: string) => ({ bgp: { ipv4Address: `${address}/24` } });
  const knows = (address: string) => book.hasAddress(parseIpAddr(address));
  assert.equal(book.learn([update(node("a", at("192.0.2.1")))]), false);
  assert.equal(book.learn([update(node("me", at("192.0.2.9")))]), true);
  assert.deepEqual([knows("192.0.2.1"), knows("192.0.2.2")], [true, false]);
  book.learn([update(node("b", at("192.0.2.1"))), update(node("a", at("192.0.2.2")))]);
  assert.deepEqual([knows("192.0.2.1"), knows("192.0.2.2")], [true, true]);
  book.learn([update(null, "b"), update(null, "nobody")]);
  assert.deepEqual([knows("192.0.2.1"), knows("192.0.2.2")], [false, true]);
  assert.deepEqual(
    book.others.map(({ name }) => name),
    ["a"],
  );
  assert.equal(book.other("me"), undefined);
  assert.equal(book.own?.name, "me");
});
