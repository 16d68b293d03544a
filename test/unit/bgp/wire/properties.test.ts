import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import type { DecodeContext } from "../../../../src/bgp/wire/attribute-rows.ts";
import { decodeMessage } from "../../../../src/bgp/wire/decode.ts";
import { encodeUpdates, encodeWithdrawals } from "../../../../src/bgp/wire/encode-updates.ts";
import { FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import type {
  AsPathSegment,
  Message,
  PackedPrefixes,
  PathAttributes,
} from "../../../../src/bgp/wire/message.ts";
import { decodeNlri } from "../../../../src/bgp/wire/nlri.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import { type IpAddr, ipFromBytes } from "../../../../src/lib/ip-addr.ts";
import { unpack } from "../../../support/packed-prefixes.ts";
import { vectors } from "../../../vectors/vectors.ts";

const contexts: readonly DecodeContext[] = [
  { fourOctetAs: true, external: false, families: [4, 6] },
  { fourOctetAs: false, external: true, families: [4] },
];

suite("bytes from the wire", () => {
  test("decodeMessage() never throws on random bodies", () => {
    const body = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), body, (type, bytes) => {
        for (const context of contexts) decodeMessage({ type, body: bytes }, context);
      }),
      { numRuns: 3000 },
    );
  });

  test("decodeMessage() never throws on attributes that look right", () => {
    const attribute = fc
      .tuple(fc.constantFrom(0x40, 0x80, 0xc0, 0xd0, 0xe0), fc.integer({ min: 0, max: 33 }))
      .chain(([flags, code]) =>
        fc.uint8Array({ maxLength: 40 }).map((value) => {
          const length = (flags & 0x10) === 0 ? [value.length] : [0, value.length];
          return [flags, code, ...length, ...value];
        }),
      );
    const all = fc.tuple(fc.array(attribute, { maxLength: 6 }), fc.uint8Array({ maxLength: 20 }));
    fc.assert(
      fc.property(all, ([attributes, nlri]) => {
        const field = attributes.flat();
        const body = Uint8Array.from([
          0,
          0,
          field.length >> 8,
          field.length & 255,
          ...field,
          ...nlri,
        ]);
        for (const context of contexts) decodeMessage({ type: 2, body }, context);
      }),
      { numRuns: 3000 },
    );
  });

  test("a stream of mutated messages never throws, whatever its pieces", () => {
    const valid = vectors.map(({ bytes }) => bytes);
    const mutated = fc
      .tuple(
        fc.constantFrom(...valid),
        fc.array(fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 255 })), { maxLength: 4 }),
      )
      .map(([bytes, changes]) => {
        const copy = bytes.slice();
        // The marker stays, so that the rest is looked at.
        for (const [at, value] of changes) copy[16 + (at % (copy.length - 16))] = value;
        return copy;
      });
    fc.assert(
      fc.property(
        fc.array(mutated, { maxLength: 5 }),
        fc.integer({ min: 1, max: 200 }),
        (messages, size) => {
          const stream = Buffer.concat(messages);
          const splitter = new FrameSplitter();
          for (let at = 0; at < stream.length; at += size) {
            const problem = splitter.push(stream.subarray(at, at + size), (frame) => {
              for (const context of contexts) decodeMessage(frame, context);
            });
            if (problem !== undefined) break;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });
});

suite("round trips", () => {
  test("what encodeUpdates() writes is decoded to the same routes", () => {
    fc.assert(
      fc.property(
        attributesArbitrary(),
        prefixesArbitrary(),
        fc.boolean(),
        (attributes, prefixes, four) => {
          const nextHop = (prefixes.family === 4 ? "10.0.0.1" : "fd00::1") as IpAddr;
          const session = { fourOctetAs: four, external: false };
          const messages = encodeUpdates({ attributes, nextHop, prefixes }, session);
          const updates = messages.map((bytes) => decodeOne(bytes, session));
          const seen = updates.flatMap((update) => {
            assert.equal(update.kind, "update");
            assert.deepEqual(update.kind === "update" && update.attributes, attributes);
            return update.kind === "update" ? update.announced : [];
          });
          assert.ok(seen.every((announced) => announced.nextHop === nextHop));
          assert.deepEqual(
            seen.flatMap((announced) => unpack(announced.prefixes)),
            unpack(prefixes),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  test("what encodeWithdrawals() writes is decoded to the same prefixes", () => {
    fc.assert(
      fc.property(prefixesArbitrary(), (prefixes) => {
        const seen = encodeWithdrawals(prefixes).flatMap((bytes) => {
          const update = decodeOne(bytes, { fourOctetAs: true, external: false });
          return update.kind === "update" ? update.withdrawn.flatMap((each) => unpack(each)) : [];
        });
        assert.deepEqual(seen, unpack(prefixes));
      }),
    );
  });

  test("decodeNlri() of IPv4 and IPv6 gives zero host bits", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(4, 6), (bytes, family) => {
        const prefixes = decodeNlri(bytes, family as 4 | 6);
        if (prefixes === undefined) return;
        const again = prefixes.count === 0 ? [] : encodeWithdrawals(prefixes);
        assert.equal(again.length, prefixes.count === 0 ? 0 : 1);
        for (const prefix of unpack(prefixes)) assert.match(prefix, /\/\d+$/);
      }),
    );
  });
});

function decodeOne(
  bytes: Uint8Array,
  session: { fourOctetAs: boolean; external: boolean },
): Message {
  let message: Message | undefined;
  new FrameSplitter().push(bytes, (frame) => {
    const decoded = decodeMessage(frame, { ...session, families: [4, 6] });
    assert.ok(decoded.ok, decoded.ok ? "" : decoded.reason);
    message = decoded.message;
  });
  assert.ok(message);
  return message;
}

function asnArbitrary(): fc.Arbitrary<Asn> {
  return fc.oneof(
    fc.integer({ min: 1, max: 0xffff }),
    fc.integer({ min: 1, max: 0xffffffff }),
  ) as fc.Arbitrary<Asn>;
}

/** Paths that an old peer can carry: one sequence (adjacent ones would come back joined). */
function asPathArbitrary(): fc.Arbitrary<AsPathSegment[]> {
  const asns = fc.array(asnArbitrary(), { minLength: 1, maxLength: 255 });
  const sequence = asns.map((each): AsPathSegment => ({ kind: "sequence", asns: each }));
  const set = asns.map((each): AsPathSegment => ({ kind: "set", asns: each }));
  return fc.oneof(
    fc.constant<AsPathSegment[]>([]),
    sequence.map((each) => [each]),
    fc.tuple(sequence, set).map((each): AsPathSegment[] => each),
  );
}

function attributesArbitrary(): fc.Arbitrary<PathAttributes> {
  const u32 = fc.integer({ min: 0, max: 0xffffffff });
  const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 20 });
  const address = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ipFromBytes(bytes));
  const fields = {
    origin: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
    asPath: asPathArbitrary(),
    med: u32,
    localPref: u32,
    atomicAggregate: fc.constant(true),
    aggregator: fc.record({ asn: asnArbitrary(), address }, { noNullPrototype: true }),
    communities: list(u32),
    largeCommunities: fc.uniqueArray(fc.tuple(u32, u32, u32), { minLength: 1, selector: String }),
    extendedCommunities: list(fc.uint8Array({ minLength: 8, maxLength: 8 })),
    originatorId: u32,
    clusterList: list(u32),
  };
  return fc.record(fields, {
    requiredKeys: ["origin", "asPath"],
    noNullPrototype: true,
  }) as fc.Arbitrary<PathAttributes>;
}

function prefixesArbitrary(): fc.Arbitrary<PackedPrefixes> {
  return fc
    .tuple(
      fc.constantFrom(4, 6),
      fc.array(fc.uint8Array({ minLength: 17, maxLength: 17 }), {
        minLength: 1,
        maxLength: 900,
        size: "max",
      }),
    )
    .map(([family, rows]) => {
      const octets = family === 4 ? 4 : 16;
      const nlri = rows.flatMap((row) => {
        const bits = (row[0] ?? 0) % (octets * 8 + 1);
        return [bits, ...row.subarray(1, 1 + ((bits + 7) >> 3))];
      });
      return decodeNlri(Uint8Array.from(nlri), family as 4 | 6) as PackedPrefixes;
    });
}
