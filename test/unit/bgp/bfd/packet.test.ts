import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import {
  type BfdPacket,
  bfdStates,
  decodePacket,
  diagnosticText,
  encodePacket,
} from "../../../../src/bgp/bfd/packet.ts";

/** Written from the figure of RFC 5880 section 4.1. */
const vectors: readonly { name: string; hex: string; packet: BfdPacket }[] = [
  {
    name: "a first packet",
    hex: "20400318 5d39e9b1 00000000 000f4240 000186a0 00000000",
    packet: {
      diagnostic: 0,
      state: "Down",
      poll: false,
      final: false,
      controlPlaneIndependent: false,
      demand: false,
      detectMultiplier: 3,
      myDiscriminator: 0x5d39e9b1,
      yourDiscriminator: 0,
      desiredMinTxUs: 1_000_000,
      requiredMinRxUs: 100_000,
      requiredMinEchoRxUs: 0,
    },
  },
  {
    name: "a Final with a diagnostic and all flags that a peer may set",
    hex: "23da0518 00000001 fffffffe 000493e0 000493e0 0000c350",
    packet: {
      diagnostic: 3,
      state: "Up",
      poll: false,
      final: true,
      controlPlaneIndependent: true,
      demand: true,
      detectMultiplier: 5,
      myDiscriminator: 1,
      yourDiscriminator: 0xfffffffe,
      desiredMinTxUs: 300_000,
      requiredMinRxUs: 300_000,
      requiredMinEchoRxUs: 50_000,
    },
  },
];

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));

/** RFC 5880 section 6.8.6, as far as it needs no session: [rule, hex, reason]. */
const discards: readonly (readonly [rule: string, hex: string, reason: RegExp])[] = [
  ["shorter than a packet", "20400318 5d39e9b1 00000000 000f4240 000186a0 000000", /23 octets/],
  ["empty", "", /0 octets/],
  ["version 0", "00400318 5d39e9b1 00000000 000f4240 000186a0 00000000", /version is 0/],
  ["version 2", "40400318 5d39e9b1 00000000 000f4240 000186a0 00000000", /version is 2/],
  ["length under 24", "20400317 5d39e9b1 00000000 000f4240 000186a0 00000000", /field is 23/],
  [
    "length under 26 with authentication",
    "20440319 5d39e9b1 00000000 000f4240 000186a0 00000000 0000",
    /field is 25, less than 26/,
  ],
  ["length over payload", "20400319 5d39e9b1 00000000 000f4240 000186a0 00000000", /25 of 24/],
  ["multiplier 0", "20400018 5d39e9b1 00000000 000f4240 000186a0 00000000", /multiplier is 0/],
  ["multipoint", "20410318 5d39e9b1 00000000 000f4240 000186a0 00000000", /multipoint/],
  ["my discriminator 0", "20400318 00000000 00000000 000f4240 000186a0 00000000", /My Disc/],
  [
    "your discriminator 0 in Init",
    "20800318 5d39e9b1 00000000 000f4240 000186a0 00000000",
    /0 in state Init/,
  ],
  [
    "your discriminator 0 in Up",
    "20c00318 5d39e9b1 00000000 000f4240 000186a0 00000000",
    /0 in state Up/,
  ],
  [
    "authentication",
    "2044031a 5d39e9b1 00000000 000f4240 000186a0 00000000 0102",
    /Authentication is not in use/,
  ],
];

suite("BFD packets", () => {
  for (const { name, hex, packet } of vectors) {
    test(`decodePacket() gives ${name}`, () => {
      assert.deepEqual(decodePacket(bytesOf(hex)), { ok: true, packet });
    });
    test(`encodePacket() gives the octets of ${name}`, () => {
      assert.deepEqual(encodePacket(packet), bytesOf(hex));
    });
  }

  for (const [rule, hex, reason] of discards) {
    test(`discarded: ${rule}`, () => {
      const decoded = decodePacket(bytesOf(hex));
      assert.ok(!decoded.ok);
      assert.match(decoded.reason, reason);
    });
  }

  test("AdminDown needs no discriminator of ours, and octets behind the length do not count", () => {
    const decoded = decodePacket(
      bytesOf("27000318 5d39e9b1 00000000 000f4240 000186a0 00000000 ffff"),
    );
    assert.ok(decoded.ok);
    assert.equal(decoded.packet.state, "AdminDown");
    assert.equal(diagnosticText(decoded.packet.diagnostic), "Administratively Down");
    assert.equal(diagnosticText(31), "Diagnostic 31");
  });

  test("any packet that may be sent is read as it was", () => {
    const u32 = fc.integer({ min: 0, max: 0xffffffff });
    const packet: fc.Arbitrary<BfdPacket> = fc.record(
      {
        diagnostic: fc.integer({ min: 0, max: 31 }),
        state: fc.constantFrom(...bfdStates),
        poll: fc.boolean(),
        final: fc.boolean(),
        controlPlaneIndependent: fc.boolean(),
        demand: fc.boolean(),
        detectMultiplier: fc.integer({ min: 1, max: 255 }),
        myDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
        yourDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
        desiredMinTxUs: u32,
        requiredMinRxUs: u32,
        requiredMinEchoRxUs: u32,
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(packet, (each) => {
        assert.deepEqual(decodePacket(encodePacket(each)), { ok: true, packet: each });
      }),
    );
  });

  test("decodePacket() never throws", () => {
    const head = fc.constantFrom(0x20, 0x23, 0x27);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), head, (bytes, first) => {
        decodePacket(bytes);
        if (bytes.length > 0) bytes[0] = first;
        if (bytes.length > 3) bytes[3] = 24;
        decodePacket(bytes);
      }),
      { numRuns: 5000 },
    );
  });
});
