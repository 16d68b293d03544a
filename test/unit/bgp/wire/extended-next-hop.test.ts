import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { DecodeContext } from "../../../../src/bgp/wire/context.ts";
import { encodeUpdates } from "../../../../src/bgp/wire/encode-updates.ts";
import type { PathAttributes } from "../../../../src/bgp/wire/message.ts";
import { decodeUpdate } from "../../../../src/bgp/wire/update.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { fromHex } from "../../../support/hex.ts";
import { pack } from "../../../support/packed-prefixes.ts";

const attributes: PathAttributes = { origin: 0, asPath: [] };
const prefixes = pack("10.65.0.0/26", "10.0.0.0/8");
const global = "fd000000000000000000000000000001";
const linkLocal = "fe800000000000000000000000000001";
const rest = "40 01 01 00 40 02 00";
const reach = (nextHop: string) => {
  const length = (nextHop.length / 2).toString(16).padStart(2, "0");
  const value = `0001 01 ${length} ${nextHop} 00 1a 0a410000 08 0a`;
  const octets = fromHex(value).length.toString(16).padStart(4, "0");
  return `90 0e ${octets} ${value}`;
};
const body = (nextHop: string) => {
  const field = `${reach(nextHop)} ${rest}`;
  return fromHex(`0000 ${fromHex(field).length.toString(16).padStart(4, "0")} ${field}`);
};
const context: DecodeContext = {
  fourOctetAs: true,
  external: false,
  families: [4],
  extendedNextHop: true,
};

suite("IPv4 prefixes with an IPv6 next hop (RFC 8950)", () => {
  test("are written into MP_REACH_NLRI", () => {
    const announcement = { attributes, nextHop: "fd00::1" as IpAddr, prefixes };
    const options = { fourOctetAs: true, extendedNextHop: true };
    const messages = encodeUpdates(announcement, options);
    assert.deepEqual(
      messages.map((bytes) => bytes.subarray(19)),
      [body(global)],
    );
  });

  test("are refused for a session that has not negotiated them", () => {
    const announcement = { attributes, nextHop: "fd00::1" as IpAddr, prefixes };
    assert.throws(() => encodeUpdates(announcement, { fourOctetAs: true }), RangeError);
    const decoded = decodeUpdate(body(global), { ...context, extendedNextHop: false });
    assert.deepEqual([!decoded.ok && decoded.notification.subcode], [9]);
  });

  for (const [name, nextHop, address] of [
    ["16 octets", global, "fd00::1"],
    ["32 octets", global + linkLocal, "fd00::1"],
    ["32 octets without a global address", "0".repeat(32) + linkLocal, "fe80::1"],
    ["4 octets", "0a000001", "10.0.0.1"],
  ] as const) {
    test(`are read with a next hop of ${name}`, () => {
      const decoded = decodeUpdate(body(nextHop), context);
      assert.ok(decoded.ok, decoded.ok ? "" : decoded.reason);
      assert.deepEqual(decoded.message.announced, [{ prefixes, nextHop: address }]);
    });
  }
});
