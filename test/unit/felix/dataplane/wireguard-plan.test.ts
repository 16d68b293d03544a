import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { ClusterRoute, RouteType } from "../../../../src/felix/calc/updates.ts";
import {
  type WireguardView,
  wireguardPlan,
} from "../../../../src/felix/dataplane/wireguard-plan.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { fakeKey } from "../../../support/fake-wireguard.ts";

const address = { a: "192.168.1.11", b: "192.168.1.12", c: "192.168.2.13" } as const;

function route(
  cidr: string,
  node: string,
  types: readonly RouteType[],
  more: Partial<ClusterRoute> = {},
): ClusterRoute {
  return {
    destination: parsePrefix(cidr),
    node,
    types: new Set(types),
    poolClass: "noEncap",
    sameSubnet: false,
    natOutgoing: false,
    localWorkload: false,
    borrowed: false,
    ...more,
  };
}

const routes = [
  route("10.0.0.0/26", "a", ["localWorkload"]),
  route("10.0.0.1/32", "a", ["localWorkload"], { localWorkload: true }),
  route("10.0.0.0/32", "a", ["localTunnel"]),
  route("10.0.1.0/26", "b", ["remoteWorkload"]),
  route("10.0.1.9/32", "a", ["localWorkload"], { localWorkload: true, borrowed: true }),
  route("10.0.1.0/32", "b", ["remoteTunnel"]),
  route("10.0.2.0/26", "c", ["remoteWorkload"]),
  route("10.0.0.7/32", "c", ["remoteWorkload"], { borrowed: true }),
  route("192.168.1.11/32", "a", ["localHost"]),
  route("192.168.1.12/32", "b", ["remoteHost"]),
  route("192.168.2.13/32", "c", ["remoteHost"]),
  route("10.0.9.0/24", "", []),
];

/** `keys` by node. */
function planOf(keys: Readonly<Record<string, number | undefined>>, hostEncryption = false) {
  const view: WireguardView = {
    nodeName: "a",
    ends: new Map(
      Object.entries(keys).map(([node, key]) => [
        node,
        key === undefined ? {} : { publicKey: fakeKey(key) },
      ]),
    ),
    addresses: new Map(Object.entries(address).map(([node, text]) => [node, parseIpAddr(text)])),
    routes,
    hostEncryption,
  };
  const { peers, encrypted, thrown } = wireguardPlan(view);
  return {
    peers: Object.fromEntries([...peers].map(([node, peer]) => [node, peer.allowed])),
    keys: [...peers.values()].map(({ publicKey }) => publicKey),
    encrypted,
    thrown,
  };
}

test("what a peer has goes through the tunnel; the node's own and that of others is thrown", () => {
  assert.deepEqual(planOf({ a: 1, b: 2, c: undefined }), {
    peers: { b: ["10.0.1.0/26", "10.0.1.0/32"] },
    keys: [fakeKey(2)],
    encrypted: ["10.0.1.0/26", "10.0.1.0/32"],
    thrown: ["10.0.0.0/26", "10.0.0.0/32", "10.0.1.9/32", "10.0.2.0/26", "10.0.0.7/32"],
  });
});

test("with host encryption a peer's own address goes through the tunnel too", () => {
  const { peers, encrypted, thrown } = planOf({ a: 1, b: 2 }, true);
  assert.deepEqual(peers, { b: ["10.0.1.0/26", "10.0.1.0/32", "192.168.1.12/32"] });
  assert.ok(encrypted.includes(parsePrefix("192.168.1.12/32")));
  assert.ok(thrown.includes(parsePrefix("192.168.2.13/32")));
  assert.ok(!thrown.includes(parsePrefix("192.168.1.11/32")), "the own: it is the local table's");
});

test("all nodes that claim one key are no peers, this one included", () => {
  assert.deepEqual(planOf({ a: 1, b: 2, c: 2 }).peers, {});
  assert.deepEqual(Object.keys(planOf({ a: 2, b: 2, c: 3 }).peers), ["c"]);
});

test("a node without an address is no peer", () => {
  assert.deepEqual(planOf({ a: 1, d: 4 }).peers, {});
});
