import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { StrictPeer } from "./strict-peer.ts";
import { addressA, addressB, kinds, peer, type Speaker, stateOf, World } from "./world.ts";

const orders = 1000;

/** Numbers from 0 to below `count`, other ones for each seed. */
function chooser(seed: number): (count: number) => number {
  let state = seed;
  return (count) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

function attempts(world: World): readonly (number | undefined)[] {
  return [addressA, addressB].map((address) => world.network.attempts.get(address));
}

function openConnections({ network }: World): number {
  return network.connections.filter(({ isClosed }) => !isClosed).length;
}

suite("two speakers that connect to each other at once, in any order of events", () => {
  for (const [ourId, theirId] of [
    [1, 2],
    [2, 1],
  ] as const) {
    for (const endsOther of [false, true]) {
      const kind = endsOther ? "ends the other when Established" : "decides at each OPEN";
      test(`id ${ourId}, and a peer of id ${theirId} that ${kind}`, () => {
        for (let seed = 1; seed <= orders; seed++) {
          const world = new World();
          const us = world.speaker(addressA);
          const strict = new StrictPeer(world.network, {
            address: addressB,
            routerId: theirId,
            peer: { address: addressA, routerId: ourId },
            endsOther,
          });
          world.network.choose = chooser(seed);
          const them = { address: addressB } as Speaker;
          us.peers.configure([peer(us, them, { localRouterId: ourId })]);
          strict.connect();
          world.network.run();
          assert.equal(stateOf(us), "Established", `order ${seed}`);
          assert.equal(strict.established.length, 1, `order ${seed}`);
          assert.deepEqual(attempts(world), [1, 1]);
          world.pass(4);
          assert.equal(openConnections(world), 1, `order ${seed}`);
          assert.equal(stateOf(us), "Established", `order ${seed}, later`);
        }
      });
    }
  }

  test("two of ours", () => {
    for (let seed = 1; seed <= orders; seed++) {
      const world = new World();
      const [a, b] = [world.speaker(addressA), world.speaker(addressB)];
      world.network.choose = chooser(seed);
      a.peers.configure([peer(a, b)]);
      b.peers.configure([peer(b, a)]);
      world.network.run();
      assert.deepEqual([stateOf(a), stateOf(b)], ["Established", "Established"], `order ${seed}`);
      world.pass(4);
      assert.deepEqual([stateOf(a), stateOf(b)], ["Established", "Established"], `order ${seed}`);
      assert.deepEqual(attempts(world), [1, 1]);
      assert.equal(openConnections(world), 1, `order ${seed}`);
      assert.deepEqual([kinds(a), kinds(b)], [["established"], ["established"]], `order ${seed}`);
    }
  });
});
