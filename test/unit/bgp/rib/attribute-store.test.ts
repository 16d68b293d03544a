import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { AttributeStore } from "../../../../src/bgp/rib/attribute-store.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";

const nextHop = "10.0.0.1" as IpAddr;

suite("AttributeStore", () => {
  test("gives equal attributes one id, and others another", () => {
    const store = new AttributeStore();
    const first = store.intern({ origin: 0, asPath: [], med: 1 }, nextHop);
    assert.equal(store.intern({ origin: 0, asPath: [], med: 1 }, nextHop), first);
    assert.notEqual(store.intern({ origin: 0, asPath: [], med: 2 }, nextHop), first);
    assert.notEqual(store.intern({ origin: 0, asPath: [], med: 1 }, "10.0.0.2" as IpAddr), first);
    assert.equal(store.size, 3);
  });

  test("gives back what was put in, with an IPv6 next hop as well", () => {
    const store = new AttributeStore();
    const attributes = {
      origin: 2 as const,
      asPath: [{ kind: "sequence" as const, asns: [64512 as Asn, 4_200_000_000 as Asn] }],
      communities: [0xffff0001],
    };
    for (const hop of [nextHop, "fd00::1" as IpAddr, undefined]) {
      const view = store.get(store.intern(attributes, hop));
      assert.deepEqual([view.attributes, view.nextHop], [attributes, hop]);
    }
  });

  test("reads octets in the middle of a buffer", () => {
    const store = new AttributeStore();
    const id = store.internBytes(Uint8Array.of(9, 9, 0x40, 1, 1, 0, 9), 4, 2);
    assert.deepEqual(octetsOf(store, id), [0x40, 1, 1, 0]);
    assert.equal(store.internBytes(Uint8Array.of(0x40, 1, 1, 0)), id);
  });

  test("forgets a set with its last reference, and then gives its id again", () => {
    const store = new AttributeStore();
    const id = store.internBytes(setOf(1));
    store.retain(id, 2);
    store.release(id);
    store.release(id);
    assert.equal(store.size, 1);
    store.release(id);
    assert.equal(store.size, 0);
    assert.throws(() => store.get(id), /referred to/);
    assert.throws(() => store.release(id), /referred to/);
    assert.equal(store.internBytes(setOf(2)), id);
  });

  test("a view stays what it is when its set is gone and others have come", () => {
    const store = new AttributeStore();
    const id = store.internBytes(setOf(1));
    const { bytes } = store.get(id);
    const before = [...bytes];
    store.release(id);
    for (let number = 2; number < 20_000; number++) store.internBytes(setOf(number));
    assert.deepEqual([...bytes], before);
  });

  test("finds each of many sets again while most of the others go", () => {
    const store = new AttributeStore();
    const ids = Array.from({ length: 60_000 }, (_, number) => store.internBytes(setOf(number)));
    assert.equal(new Set(ids).size, ids.length);
    const isKept = (number: number) => number % 23 === 0;
    for (const [number, id] of ids.entries()) if (!isKept(number)) store.release(id);
    for (const [number, id] of ids.entries()) {
      if (!isKept(number)) continue;
      assert.equal(store.internBytes(setOf(number)), id, `set ${number}`);
      assert.deepEqual(octetsOf(store, id), [...setOf(number)]);
    }
    const again = ids.map((_, number) => store.internBytes(setOf(number + 100_000)));
    for (const [number, id] of again.entries()) {
      assert.deepEqual(octetsOf(store, id), [...setOf(number + 100_000)]);
    }
    assert.deepEqual(octetsOf(store, ids[23] as number), [...setOf(23)]);
  });
});

/** Octets of a set that no other number has: ORIGIN and MED, then communities of some length. */
function setOf(number: number): Uint8Array {
  const bytes = new Uint8Array(14 + (number % 8) * 4);
  bytes.set([0x40, 1, 1, 0, 0x80, 4, 4, number >>> 24, number >>> 16, number >>> 8, number]);
  bytes.set([0xc0, 8, bytes.length - 14], 11);
  return bytes;
}

function octetsOf(store: AttributeStore, id: number): number[] {
  const start = store.startOf(id);
  return [...store.bufferOf(id).subarray(start, start + store.lengthOf(id))];
}
