import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { DynamicPeers } from "../../../../src/bgp/peer/peer.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import type { Prefix } from "../../../../src/lib/prefix.ts";
import { addressA, addressB, downs, kinds, peer, type Speaker, World } from "./world.ts";

const addressC = "10.0.0.3" as IpAddr;
const prefix = "10.0.0.0/24" as Prefix;

/** Whoever connects to `us` from the prefix. */
function dynamic(us: Speaker, changes: Partial<DynamicPeers> = {}): DynamicPeers {
  const { name: _name, address: _address, passive: _passive, ...template } = peer(us, us);
  return { prefix, template, limit: 2, ...changes };
}

/** A speaker with dynamic neighbours, and one that has connected to it. */
function connected(world: World, changes: Partial<DynamicPeers> = {}): [Speaker, Speaker] {
  const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
  a.peers.configure([], [dynamic(a, changes)]);
  b.peers.configure([peer(b, a)]);
  world.pass(1);
  return [a, b];
}

const names = ({ peers }: Speaker) => peers.status().map(({ name }) => name);

suite("dynamic neighbours", () => {
  test("one that connects is a peer, and none any more when it says goodbye", () => {
    const world = new World();
    const [a, b] = connected(world);
    assert.deepEqual(kinds(a), ["dynamicAdded", "established"]);
    assert.deepEqual(names(a), ["Dynamic_10_0_0_2"]);
    const [added] = a.events;
    assert.ok(added?.kind === "dynamicAdded");
    assert.deepEqual([added.prefix, added.config.address], [prefix, addressB]);
    b.peers.configure([]);
    world.pass(1);
    assert.deepEqual(kinds(a).slice(2), ["down", "dynamicRemoved"]);
    assert.deepEqual(names(a), []);
  });

  test("one whose connection breaks is kept for its restart time", () => {
    const world = new World();
    const [a, b] = connected(world);
    world.network.connections.at(-1)?.other?.ends("reset");
    world.network.isCut = true;
    world.pass(119);
    assert.deepEqual(downs(a), [["reset", true]]);
    assert.deepEqual(names(a), ["Dynamic_10_0_0_2"]);
    world.pass(2);
    assert.deepEqual(kinds(a).at(-1), "dynamicRemoved");
    world.network.isCut = false;
    world.pass(200);
    assert.deepEqual(kinds(a).slice(-2), ["dynamicAdded", "established"]);
    assert.equal(b.peers.status()[0]?.state, "Established");
  });

  test("one that comes back in time is the same peer", () => {
    const world = new World();
    const [a, b] = connected(world);
    world.network.connections.at(-1)?.other?.ends("reset");
    b.peers.configure([peer(b, a, { holdSeconds: 30 })]);
    world.pass(300);
    assert.deepEqual(kinds(a), ["dynamicAdded", "established", "down", "established"]);
  });

  test("there are never more than the limit", () => {
    const world = new World();
    const [a, b] = connected(world, { limit: 1 });
    const c = world.speaker(addressC);
    c.peers.configure([peer(c, a)]);
    world.pass(5);
    assert.deepEqual(names(a), ["Dynamic_10_0_0_2"]);
    assert.match(c.peers.status()[0]?.lastError ?? "", /Connection Rejected/);
    b.peers.configure([]);
    world.pass(10);
    assert.deepEqual(names(a), ["Dynamic_10_0_0_3"]);
  });

  test("one with a wrong OPEN leaves nothing behind", () => {
    const world = new World();
    const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
    a.peers.configure([], [dynamic(a)]);
    b.peers.configure([peer(b, a, { localAs: 65000 as Asn, connectRetrySeconds: 120 })]);
    world.network.run();
    world.pass(0.1);
    assert.deepEqual(kinds(a), ["dynamicAdded", "dynamicRemoved"]);
    assert.deepEqual(names(a), []);
  });

  test("the longest prefix counts, and a configured peer more than any", () => {
    const world = new World();
    const [a, b, c] = [addressA, addressB, addressC].map((each) => world.speaker(each)) as [
      Speaker,
      Speaker,
      Speaker,
    ];
    const { template } = dynamic(a);
    const narrow = { prefix: "10.0.0.2/31" as Prefix, template, limit: 1 };
    a.peers.configure([peer(a, c, { passive: true })], [dynamic(a), narrow]);
    for (const each of [b, c]) each.peers.configure([peer(each, a)]);
    world.pass(1);
    assert.deepEqual(names(a).sort(), ["Dynamic_10_0_0_2", "Mesh_10.0.0.3"]);
    const added = a.events.find((event) => event.kind === "dynamicAdded");
    assert.equal(added?.prefix, narrow.prefix);
  });

  test("another configuration ends only those that it changes", () => {
    const world = new World();
    const [a] = connected(world);
    a.peers.configure([], [dynamic(a)]);
    world.pass(1);
    assert.deepEqual(kinds(a), ["dynamicAdded", "established"]);
    const { template } = dynamic(a);
    a.peers.configure([], [dynamic(a, { template: { ...template, holdSeconds: 30 } })]);
    assert.deepEqual(kinds(a).slice(2), ["down", "dynamicRemoved"]);
    world.pass(1);
    assert.deepEqual(kinds(a).slice(4), ["dynamicAdded", "established"]);
    a.peers.configure([], []);
    assert.deepEqual(kinds(a).slice(6), ["down", "dynamicRemoved"]);
  });
});
