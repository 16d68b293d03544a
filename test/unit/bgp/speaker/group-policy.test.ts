import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { SpeakerPeer } from "../../../../src/bgp/config/session.ts";
import { AttributeStore } from "../../../../src/bgp/rib/attribute-store.ts";
import { FamilyRib } from "../../../../src/bgp/rib/family-rib.ts";
import { packPrefixes } from "../../../../src/bgp/rib/packed-prefix.ts";
import { exportRules } from "../../../../src/bgp/speaker/export-groups.ts";
import { GroupPolicy } from "../../../../src/bgp/speaker/group-policy.ts";
import { SpeakerPeers } from "../../../../src/bgp/speaker/speaker-peers.ts";
import { decodeRoute } from "../../../../src/bgp/wire/route-bytes.ts";
import { parseAsn } from "../../../../src/lib/asn.ts";
import { type IpAddr, parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { plainSpeaker } from "./plain.ts";

const config = plainSpeaker(
  { address: "192.168.1.1", asn: 65001 },
  [
    { address: "192.168.1.2", asn: 65001, client: true },
    { address: "192.168.1.3", asn: 65001 },
    { address: "192.168.1.4", asn: 65004 },
  ],
  { clusterId: 9 },
);
/** An advertisement that covers nothing: policy has to look at each prefix. */
const plainRules = exportRules(config, false);
const lookingRules = exportRules({ ...config, advertisements: unrelated() }, false);

function unrelated(): (typeof config)["advertisements"] {
  return {
    communities: [],
    prefixAdvertisements: [{ cidr: "203.0.113.0/24", communities: ["65001:7"] }],
  };
}

const number = fc.integer({ min: 0, max: 0xffffffff });
const asns = fc.array(fc.integer({ min: 1, max: 0xffffffff }).map(parseAsn), {
  minLength: 1,
  maxLength: 3,
});
const segment = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("sequence" as const), asns }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("set" as const), asns }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("confedSequence" as const), asns }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("sequence" as const),
      asns: fc.constant(Array.from({ length: 255 }, (_, i) => parseAsn(i + 1))),
    }),
  },
);
const community = fc.oneof(
  number,
  fc.constantFrom(0xffffff01, 0xffffff02, 0xffffff03, 0xffff0000, 0xffff0006),
);
const route = fc.record(
  {
    origin: fc.constantFrom(0 as const, 1 as const, 2 as const),
    asPath: fc.array(segment, { maxLength: 3 }),
    med: number,
    localPref: number,
    communities: fc.array(community, { minLength: 1, maxLength: 3 }),
    originatorId: number,
    clusterList: fc.array(number, { minLength: 1, maxLength: 80 }),
    atomicAggregate: fc.constant(true as const),
    extendedCommunities: fc.array(
      fc.tuple(fc.constantFrom(0, 0x40, 0x43), number).map(([type, value]) => {
        const bytes = new Uint8Array(8);
        new DataView(bytes.buffer).setUint32(4, value);
        bytes[0] = type;
        return bytes;
      }),
      { minLength: 1, maxLength: 3 },
    ),
    largeCommunities: fc.array(fc.tuple(number, number, number), { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ["origin", "asPath"] },
);

test("What BGP alone decides, edited in the octets, is what policy makes of the objects", () => {
  const peers = new SpeakerPeers();
  for (const peer of config.peers) peers.add(peer);
  for (const state of peers.all()) peers.set({ ...state, routerId: 77 });
  const target = fc.record({
    to: fc.constantFrom(...config.peers),
    nextHopMode: fc.constantFrom("Auto" as const, "Self" as const, "Keep" as const),
    longLived: fc.boolean(),
  });
  fc.assert(
    fc.property(route, fc.integer({ min: 0, max: 3 }), target, (attributes, source, to) => {
      const store = new AttributeStore();
      const rib = new FamilyRib(4, store);
      const forwarding = {
        interfaceOf: () => undefined,
        judge: () => ({ rejected: "not asked" }),
      };
      const policy = new GroupPolicy(rib, { attributes: store, peers, forwarding }, groupOf(to));
      const prefixId = rib.table.add(packPrefixes([parsePrefix("10.0.0.0/24")], 4), 0);
      const nextHop = source === 0 ? undefined : parseIpAddr("192.168.1.9");
      const best = { peer: source, attributesId: store.intern(attributes, nextHop) };
      const told = (rules: typeof plainRules) => {
        const id = policy.exported(prefixId, best, rules);
        return id === 0 ? undefined : decodeRoute(store.get(id).bytes);
      };
      assert.deepEqual(told(plainRules), told(lookingRules));
    }),
    { numRuns: 1000 },
  );
});

function groupOf(to: {
  readonly to: SpeakerPeer;
  readonly nextHopMode: "Auto" | "Self" | "Keep";
  readonly longLived: boolean;
}) {
  const { config: peer } = to.to;
  const external = peer.remoteAs !== peer.localAs;
  return {
    peer: {
      external,
      client: peer.reflectorClient !== undefined,
      longLived: to.longLived,
      scope: "all" as const,
    },
    target: {
      external,
      localAs: peer.localAs,
      localAddress: "192.168.1.1" as IpAddr,
      nextHopMode: to.nextHopMode,
      scope: "all" as const,
    },
    defaultOriginate: false,
    extendedNextHop: false,
  };
}
