import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Capability, OpenMessage } from "../../../../src/bgp/wire/message.ts";
import { decodeOpen, encodeOpen } from "../../../../src/bgp/wire/open.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import { fromHex } from "../../../support/hex.ts";

const fixed = "04 fde8 00b4 0a000001";

suite("decodeOpen", () => {
  const good: readonly (readonly [name: string, body: string, codes: number[]])[] = [
    ["capabilities in one parameter", `${fixed} 06 02 04 0200 4600`, [2, 70]],
    ["capabilities in several parameters", `${fixed} 08 02 02 0200 02 02 4600`, [2, 70]],
    ["extended parameters (RFC 9072)", `${fixed} ff ff 0007 02 0004 0200 4600`, [2, 70]],
    ["extended parameters whose short length is wrong", `${fixed} 01 ff 0005 02 0002 0200`, [2]],
    ["no extended parameters at all", `${fixed} ff ff 0000`, []],
  ];
  for (const [name, body, codes] of good) {
    test(`reads ${name}`, () => {
      const decoded = decodeOpen(fromHex(body));
      assert.ok(decoded.ok, decoded.ok ? "" : decoded.reason);
      const kinds = { 2: "routeRefresh", 70: "enhancedRouteRefresh" } as Record<number, string>;
      assert.deepEqual(
        decoded.message.capabilities.map(({ kind }) => kind),
        codes.map((code) => kinds[code]),
      );
    });
  }

  /** RFC 4271 section 6.2, RFC 5492 section 5. */
  const bad: readonly (readonly [name: string, body: string, subcode: number, data: string])[] = [
    ["version 3", "03 fde8 00b4 0a000001 00", 1, "0004"],
    ["a parameter that is not known", `${fixed} 03 01 01 00`, 4, ""],
    ["parameters that are cut", `${fixed} 08 02 06 0200`, 0, ""],
    ["a capability that runs past its parameter", `${fixed} 04 02 02 4105`, 0, ""],
    ["octets behind the parameters", `${fixed} 00 00`, 0, ""],
    ["extended parameters that are cut", `${fixed} ff ff 0008 02 0004 0200`, 0, ""],
    ["nothing behind the router id", "04 fde8 00b4 0a000001", 0, ""],
  ];
  for (const [name, body, subcode, data] of bad) {
    test(`refuses ${name}`, () => {
      const decoded = decodeOpen(fromHex(body));
      const expected = { code: 2, subcode, data: fromHex(data) };
      assert.deepEqual(!decoded.ok && decoded.notification, expected);
    });
  }

  test("keeps a capability of the wrong length as unknown", () => {
    const decoded = decodeOpen(fromHex(`${fixed} 05 02 03 410101`));
    assert.deepEqual(decoded.ok && decoded.message.capabilities, [
      { kind: "unknown", code: 65, value: Uint8Array.of(1) },
    ]);
  });
});

suite("encodeOpen", () => {
  for (const [octets, extended] of [
    [253, false],
    [254, true],
    [4061, true],
  ] as const) {
    test(`writes ${octets} octets of capabilities ${extended ? "extended" : "plainly"}`, () => {
      const open = openWith(octets);
      const bytes = encodeOpen(open);
      assert.equal(bytes[19 + 10] === 255, extended);
      assert.deepEqual(decodeOpen(bytes.subarray(19)), { ok: true, message: open });
    });
  }

  test("refuses an OPEN over 4096 octets", () => {
    assert.throws(() => encodeOpen(openWith(4062)), RangeError);
  });
});

/** An OPEN whose capabilities take so many octets. */
function openWith(octets: number): OpenMessage {
  const capabilities: Capability[] = [];
  for (let left = octets; left > 0; ) {
    // Two octets of header each; the last two capabilities share what is left.
    const length = left > 257 && left < 260 ? 100 : Math.min(left - 2, 255);
    capabilities.push({ kind: "unknown", code: 200, value: new Uint8Array(length) });
    left -= length + 2;
  }
  return { kind: "open", asn: 65000 as Asn, holdSeconds: 90, routerId: 1, capabilities };
}
