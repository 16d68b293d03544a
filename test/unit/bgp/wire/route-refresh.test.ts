import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  decodeRouteRefresh,
  encodeRouteRefresh,
  refreshSubtype,
} from "../../../../src/bgp/wire/route-refresh.ts";
import { fromHex, withHeader } from "../../../support/hex.ts";

suite("decodeRouteRefresh", () => {
  for (const [name, subtype] of Object.entries(refreshSubtype)) {
    test(`reads what encodeRouteRefresh() writes: ${name}`, () => {
      const bytes = encodeRouteRefresh(6, subtype);
      assert.deepEqual(bytes, withHeader(5, `0002 0${subtype} 01`));
      const message = { kind: "routeRefresh", afi: 2, safi: 1, subtype };
      assert.deepEqual(decodeRouteRefresh(bytes.subarray(19)), { ok: true, message });
    });
  }

  for (const subtype of [1, 2]) {
    test(`answers a long subtype ${subtype} with the whole message (RFC 7313 section 5)`, () => {
      const body = `0001 0${subtype} 01 ff`;
      const decoded = decodeRouteRefresh(fromHex(body));
      assert.deepEqual(!decoded.ok && decoded.notification, {
        code: 7,
        subcode: 1,
        data: withHeader(5, body),
      });
    });
  }

  test("answers a long request with Bad Message Length", () => {
    const decoded = decodeRouteRefresh(fromHex("0001 00 01 ffff"));
    assert.deepEqual(!decoded.ok && decoded.notification, {
      code: 1,
      subcode: 2,
      data: fromHex("0019"),
    });
  });

  test("gives a subtype that is not known, of any length, to be ignored", () => {
    const decoded = decodeRouteRefresh(fromHex("0001 03 01 ff"));
    assert.equal(decoded.ok && decoded.message.subtype, 3);
  });
});
