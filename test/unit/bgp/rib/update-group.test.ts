import assert from "node:assert/strict";
import { test } from "node:test";
import { AttributeStore } from "../../../../src/bgp/rib/attribute-store.ts";
import { packPrefixes, unpackPrefix } from "../../../../src/bgp/rib/packed-prefix.ts";
import { PrefixTable } from "../../../../src/bgp/rib/prefix-table.ts";
import { type PeerBytes, UpdateGroup } from "../../../../src/bgp/rib/update-group.ts";
import { decodeMessage } from "../../../../src/bgp/wire/decode.ts";
import { encodeEndOfRib } from "../../../../src/bgp/wire/encode-updates.ts";
import { FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import type { PackedPrefixes } from "../../../../src/bgp/wire/message.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";

const context = { fourOctetAs: true, external: false, families: [4, 6] as const };

function setUp(limits: { readonly backlogBytes?: number } = {}) {
  const attributes = new AttributeStore();
  const table = new PrefixTable(4);
  const group = new UpdateGroup({ fourOctetAs: true }, { table, attributes, ...limits });
  const id = (prefix: string) => table.add(packPrefixes([parsePrefix(prefix)], 4), 0);
  const announce = (prefix: string, source: number, med = 0) => {
    const route = { origin: 0 as const, asPath: [], localPref: 100, med };
    group.update(id(prefix), attributes.intern(route, parseIpAddr("10.0.0.1")), source);
  };
  const withdraw = (prefix: string) => group.update(id(prefix), 0, 0);
  return { group, announce, withdraw, attributes, table };
}

/** What a peer is told: "+PREFIX", "-PREFIX", "End-of-RIB". */
function told(sends: readonly PeerBytes[], name: string): string[] {
  const splitter = new FrameSplitter();
  const lines: string[] = [];
  const texts = (sign: string, prefixes: PackedPrefixes) =>
    Array.from({ length: prefixes.count }, (_, i) => sign + unpackPrefix(prefixes, i));
  for (const { bytes } of sends.filter((send) => send.name === name)) {
    splitter.push(bytes, (frame) => {
      const decoded = decodeMessage(frame, context);
      assert.ok(decoded.ok && decoded.message.kind === "update");
      const { withdrawn, announced, endOfRib } = decoded.message;
      lines.push(...withdrawn.flatMap((each) => texts("-", each)));
      lines.push(...announced.flatMap(({ prefixes }) => texts("+", prefixes)));
      if (endOfRib.length > 0) lines.push("End-of-RIB");
    });
  }
  return lines;
}

test("A peer that joins gets the whole table, then End-of-RIB", () => {
  const { group, announce } = setUp();
  announce("10.0.1.0/26", 0);
  announce("10.0.2.0/26", 0, 5);
  group.join(1, "a");
  group.tellAfter(1, encodeEndOfRib(4));
  assert.deepEqual(told(group.flush(), "a"), ["+10.0.1.0/26", "+10.0.2.0/26", "End-of-RIB"]);
});

test("All peers get one buffer, but none what it told itself", () => {
  const { group, announce } = setUp();
  for (const [peer, name] of ["a", "b", "c"].entries()) group.join(peer + 1, name);
  announce("10.0.1.0/26", 0);
  announce("10.0.2.0/26", 2);
  const sends = group.flush();
  assert.deepEqual(told(sends, "a"), ["+10.0.1.0/26", "+10.0.2.0/26"]);
  assert.deepEqual(told(sends, "b"), ["+10.0.1.0/26"]);
  const [one, three] = [0, 2].map((i) => sends.find(({ name }) => name === "abc"[i])?.bytes);
  assert.equal(one, three);
});

test("A route that is now learned from a peer is withdrawn from it", () => {
  const { group, announce } = setUp();
  group.join(1, "a");
  group.join(2, "b");
  announce("10.0.1.0/26", 1);
  assert.deepEqual(told(group.flush(), "a"), []);
  announce("10.0.1.0/26", 2);
  let sends = group.flush();
  assert.deepEqual(told(sends, "a"), ["+10.0.1.0/26"]);
  assert.deepEqual(told(sends, "b"), ["-10.0.1.0/26"]);
  announce("10.0.1.0/26", 1);
  sends = group.flush();
  assert.deepEqual(told(sends, "a"), ["-10.0.1.0/26"]);
  assert.deepEqual(told(sends, "b"), ["+10.0.1.0/26"]);
});

test("An update that changes nothing sends nothing", () => {
  const { group, announce } = setUp();
  group.join(1, "a");
  announce("10.0.1.0/26", 0);
  group.flush();
  announce("10.0.1.0/26", 0);
  assert.deepEqual(group.flush(), []);
});

test("A slow peer goes on from where it was", () => {
  const { group, announce, withdraw } = setUp();
  group.join(1, "slow");
  group.join(2, "quick");
  group.flush();
  group.block(1);
  announce("10.0.1.0/26", 0);
  announce("10.0.2.0/26", 0);
  const [sent] = group.flush();
  withdraw("10.0.1.0/26");
  assert.deepEqual(told(group.flush(), "quick"), ["-10.0.1.0/26"]);
  group.drained(1);
  const late = group.flush();
  assert.deepEqual(told(late, "slow"), ["+10.0.1.0/26", "+10.0.2.0/26", "-10.0.1.0/26"]);
  assert.equal(late[0]?.bytes, sent?.bytes);
});

test("A peer that is too far behind hears of each prefix once, when it has drained", () => {
  const { group, announce, withdraw, table } = setUp({ backlogBytes: 200 });
  group.join(1, "slow");
  announce("10.0.1.0/26", 0);
  announce("10.0.2.0/26", 0);
  group.flush();
  group.block(1);
  for (let med = 1; med < 50; med++) {
    announce("10.0.1.0/26", 0, med);
    assert.deepEqual(group.flush(), []);
  }
  withdraw("10.0.2.0/26");
  announce("10.0.3.0/26", 1);
  group.flush();
  // Its id goes to another prefix before the peer has heard of the withdrawal.
  table.remove(table.findPrefix(parsePrefix("10.0.2.0/26")));
  announce("10.0.4.0/26", 0);
  group.flush();
  group.drained(1);
  assert.deepEqual(told(group.flush(), "slow"), [
    "-10.0.2.0/26",
    "-10.0.3.0/26",
    "+10.0.1.0/26",
    "+10.0.4.0/26",
  ]);
  announce("10.0.1.0/26", 0, 99);
  assert.deepEqual(told(group.flush(), "slow"), ["+10.0.1.0/26"]);
});

test("A peer moves to another group without losing or keeping too much", () => {
  const { group, announce, attributes, table } = setUp();
  const other = new UpdateGroup({ fourOctetAs: true }, { table, attributes });
  group.join(1, "a");
  announce("10.0.1.0/26", 0);
  announce("10.0.2.0/26", 0);
  group.flush();
  const attributesId = attributes.intern({ origin: 0, asPath: [] }, parseIpAddr("10.0.0.7"));
  other.update(table.findPrefix(parsePrefix("10.0.2.0/26")), attributesId, 0);
  other.takeOver(1, "a", group);
  assert.deepEqual(told(other.flush(), "a").toSorted(), ["+10.0.2.0/26", "-10.0.1.0/26"]);
  assert.deepEqual([group.size, other.size], [0, 1]);
  group.dispose();
  other.dispose();
  assert.equal(attributes.size, 0);
});

test("Of very many peers some are told in the next go, and nobody is passed by", () => {
  const { group, announce } = setUp();
  const names = Array.from({ length: 1200 }, (_, i) => `p${i}`);
  for (const [i, name] of names.entries()) group.join(i + 1, name);
  while (group.hasWork) group.flush();
  const heard = new Map<string, number>();
  for (let med = 1; med <= 5; med++) {
    announce("10.0.1.0/26", 0, med);
    for (const { name } of group.flush()) heard.set(name, (heard.get(name) ?? 0) + 1);
  }
  assert.equal(heard.size, 1200);
  while (group.hasWork) {
    for (const { name } of group.flush()) heard.set(name, (heard.get(name) ?? 0) + 1);
  }
  assert.deepEqual(new Set(heard.values()), new Set([5]));
});
