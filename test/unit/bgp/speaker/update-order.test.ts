import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { PathAttributes } from "../../../../src/bgp/wire/message.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { Core } from "./core.ts";
import { plainSpeaker } from "./plain.ts";

const own = { address: "192.168.1.1", asn: 65001 };
/** 2 and 3 are clients, 3 with ADD-PATH; 4 is external; 5 is a client that is told all paths, 6 one. */
const config = plainSpeaker(
  own,
  [
    { address: "192.168.1.2", asn: 65001, client: true },
    { address: "192.168.1.3", asn: 65001, client: true },
    { address: "192.168.1.4", asn: 65004 },
    { address: "192.168.1.5", asn: 65001, client: true },
    { address: "192.168.1.6", asn: 65001, client: true },
  ],
  { clusterId: 9, originated: [] },
);
const peers = config.peers.map((peer) => peer.config);
const senders = 3;
const addPathSender = 1;
const addPathReceiver = 3;

interface Change {
  readonly sender: number;
  readonly prefix: number;
  readonly pathId: number;
  /** Undefined: withdrawn. */
  readonly med: number | undefined;
  readonly path: number;
  /** What happens after it. */
  readonly after: "nothing" | "flush" | "block" | "drain" | "refresh";
  readonly receiver: number;
}

const small = fc.integer({ min: 0, max: 2 });
const changes: fc.Arbitrary<Change[]> = fc.array(
  fc.record({
    sender: fc.integer({ min: 0, max: senders - 1 }),
    prefix: small,
    pathId: fc.integer({ min: 1, max: 2 }),
    med: fc.option(small, { nil: undefined, freq: 3 }),
    path: small,
    after: fc.constantFrom("nothing", "flush", "flush", "block", "drain", "refresh"),
    receiver: fc.integer({ min: 0, max: peers.length - 1 }),
  }),
  { maxLength: 40, size: "max" },
);

/** A clock on which every slice of work is over after its first step. */
function hurried(): () => number {
  let ms = 0;
  return () => (ms += 1000);
}

function start(now?: () => number): Core {
  const core = new Core(config, now === undefined ? {} : { now });
  for (const [index, peer] of peers.entries()) {
    const receive = index === addPathSender ? ([4] as const) : [];
    const send = index === addPathReceiver ? ([4] as const) : [];
    core.up(peer, { addPath: { receive, send } });
  }
  core.settle();
  return core;
}

function tell(core: Core, { sender, prefix, pathId, med, path }: Change): void {
  const peer = peers[sender];
  assert.ok(peer !== undefined);
  const asns = [65004, 65010, 65011].slice(0, 1 + path).map(parseAsn);
  const attributes: PathAttributes = {
    origin: 0,
    asPath: [{ kind: "sequence", asns }],
    ...(peer.remoteAs === peer.localAs ? { localPref: 100 } : {}),
    med: med ?? 0,
    communities: [65001 * 65536 + sender],
  };
  core.tell(peer.name, {
    prefix: `10.${prefix}.0.0/16`,
    ...(sender === addPathSender ? { pathId } : {}),
    ...(med === undefined ? {} : { attributes, nextHop: `192.168.2.${sender}` }),
  });
}

function disturb(core: Core, { after, receiver }: Change): void {
  const name = peers[receiver]?.name ?? "";
  if (after === "flush") core.flush();
  else if (after === "block") core.post({ kind: "blocked", name });
  else if (after === "drain") core.post({ kind: "peer", event: { kind: "drained", name } });
  else if (after === "refresh") {
    core.post({ kind: "peer", event: { kind: "refreshRequested", name, family: 4 } });
  }
}

function end(core: Core): void {
  for (const { name } of peers) core.post({ kind: "peer", event: { kind: "drained", name } });
  core.settle();
}

/** Identifiers of paths are ours to choose: what each prefix has counts. */
function tablesOf(core: Core): unknown {
  return peers.map(({ name }) =>
    [...(core.tables.get(name) ?? [])]
      .map(([key, route]) => `${key.split(" ")[0]} ${route}`)
      .toSorted(),
  );
}

test("Whatever the order of updates of several peers and the slices, Loc-RIB and what peers have are the same", () => {
  fc.assert(
    fc.property(changes, (list) => {
      const [mixed, sorted] = [start(hurried()), start()];
      for (const change of list) {
        tell(mixed, change);
        disturb(mixed, change);
      }
      end(mixed);
      for (const change of list.toSorted((a, b) => b.sender - a.sender)) tell(sorted, change);
      end(sorted);
      assert.deepEqual(mixed.locRib, sorted.locRib);
      assert.deepEqual(tablesOf(mixed), tablesOf(sorted));
    }),
    { numRuns: 150 },
  );
});

test("A peer that comes late has what one has that was there all the time", () => {
  fc.assert(
    fc.property(changes, fc.boolean(), (list, isSliced) => {
      const core = start(isSliced ? hurried() : undefined);
      for (const change of list) {
        tell(core, change);
        disturb(core, change);
      }
      end(core);
      const before = tablesOf(core);
      for (const [index, peer] of peers.entries()) {
        if (index < senders) continue;
        const send = index === addPathReceiver ? ([4] as const) : [];
        core.up(peer, { addPath: { receive: [], send } });
      }
      core.settle();
      assert.deepEqual(tablesOf(core), before);
    }),
    { numRuns: 100 },
  );
});

test("Nothing is left when all routes are withdrawn", () => {
  fc.assert(
    fc.property(changes, fc.boolean(), (list, isSliced) => {
      const core = start(isSliced ? hurried() : undefined);
      for (const change of list) {
        tell(core, change);
        disturb(core, change);
      }
      for (const { name } of peers.slice(0, senders)) {
        const event = { kind: "down", name, reason: "test", graceful: false } as const;
        core.post({ kind: "peer", event });
      }
      for (const { name } of peers.slice(senders)) {
        core.post({ kind: "peer", event: { kind: "drained", name } });
      }
      core.settle();
      assert.equal(core.locRib.size, 0);
      for (const { name } of peers.slice(senders)) assert.equal(core.tables.get(name)?.size, 0);
      const { rib } = core.speaker.families[4];
      assert.deepEqual([rib.table.size, rib.adjIn.size, core.speaker.attributes.size], [0, 0, 0]);
    }),
    { numRuns: 100 },
  );
});
