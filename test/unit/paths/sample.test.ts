import assert from "node:assert/strict";
import { test } from "node:test";
import { parseInterfaceAddress } from "../../../src/lib/prefix.ts";
import type { PathPeer } from "../../../src/paths/peers.ts";
import { samplePeers } from "../../../src/paths/sample.ts";

function peer(name: string, address: string): PathPeer {
  return { name, addresses: { 4: parseInterfaceAddress(address) }, tunnels: [] };
}
const own = peer("me", "192.0.2.1/24");
const near = Array.from({ length: 20 }, (_, i) => peer(`near${i}`, `192.0.2.${i + 10}/24`));
const far = Array.from({ length: 50 }, (_, i) => peer(`far${i}`, `198.51.100.${i + 1}/24`));

const sample = (peers: readonly PathPeer[], count: number, turn = 0, start = 0.3) =>
  samplePeers(own, peers, { count, turn, start }).map(({ name }) => name);

test("half of a sample is of the own subnet, unless there are fewer", () => {
  const nearOf = (names: readonly string[]) =>
    names.filter((name) => name.startsWith("near")).length;
  assert.equal(nearOf(sample([...near, ...far], 8)), 4);
  assert.equal(sample([...near, ...far], 8).length, 8);
  assert.equal(nearOf(sample([...near.slice(0, 1), ...far], 8)), 1);
  assert.equal(sample([...near.slice(0, 1), ...far], 8).length, 8);
  assert.equal(nearOf(sample([...near, ...far.slice(0, 2)], 8)), 6);
});

test("a sample has no peer twice and no more than there are", () => {
  assert.deepEqual(sample([], 8), []);
  const few = sample([...near.slice(0, 2), ...far.slice(0, 1)], 8);
  assert.deepEqual(few.toSorted(), ["far0", "near0", "near1"]);
});

test("after enough turns every peer was in a sample", () => {
  const seen = new Set<string>();
  for (let turn = 0; turn < 13; turn++) {
    for (const name of sample([...near, ...far], 8, turn)) seen.add(name);
  }
  assert.equal(seen.size, 70);
});
