import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import { decodePathAttributes } from "../../../../src/bgp/wire/attributes.ts";
import type { DecodeContext } from "../../../../src/bgp/wire/context.ts";
import type { UpdateMessage } from "../../../../src/bgp/wire/message.ts";
import { decodeUpdate } from "../../../../src/bgp/wire/update.ts";
import { fromHex } from "../../../support/hex.ts";

const internal: DecodeContext = { fourOctetAs: true, external: false, families: [4, 6] };
const origin = "40 01 01 00";
const asPath = "40 02 06 02 01 0000fde9";
const reach = "90 0e 001e 0002 01 10 fd000000000000000000000000000001 00 40 fd00000000000001";
const unreach = "80 0f 06 0002 01 10 fd01";
const med = "80 04 04 00000007";

suite("UpdateMessage.rawAttributes", () => {
  const rows: readonly (readonly [name: string, field: string, raw: string])[] = [
    ["all of them without MP_*", `${origin} ${asPath} 40 03 04 0a000001`, ""],
    ["what is behind MP_REACH_NLRI", `${reach} ${origin} ${asPath}`, `${origin} ${asPath}`],
    ["what is before MP_REACH_NLRI", `${origin} ${asPath} ${reach}`, `${origin} ${asPath}`],
    [
      "what is around MP_REACH_NLRI",
      `${origin} ${reach} ${asPath} ${med}`,
      `${origin} ${asPath} ${med}`,
    ],
    [
      "what is between MP_UNREACH_NLRI and MP_REACH_NLRI",
      `${origin} ${unreach} ${asPath} ${reach} ${med}`,
      `${origin} ${asPath} ${med}`,
    ],
  ];
  for (const [name, field, raw] of rows) {
    test(`holds ${name}, and the attributes are decoded from it`, () => {
      const update = decode(field, raw === "" ? "08 0a" : "");
      assert.deepEqual(Buffer.from(update.rawAttributes ?? []), Buffer.from(fromHex(raw || field)));
      assert.deepEqual(update.attributes?.asPath, [{ kind: "sequence", asns: [65001] }]);
      assert.deepEqual(
        decodePathAttributes(update.rawAttributes ?? new Uint8Array(0), internal),
        update.attributes,
      );
    });
  }

  test("is a view of the message where MP_* are not in the middle", () => {
    const body = updateBody(`${reach} ${origin} ${asPath}`, "");
    const decoded = decodeUpdate(body, internal);
    assert.equal(decoded.ok && decoded.message.rawAttributes?.buffer, body.buffer);
  });

  test("is absent when nothing is announced", () => {
    for (const field of [unreach, `${origin} ${unreach}`]) {
      const update = decode(field, "");
      assert.deepEqual([update.rawAttributes, update.attributes], [undefined, undefined]);
    }
  });

  test("the attributes are decoded once, and do not refer to the octets", () => {
    const body = updateBody(`${origin} ${asPath} 40 03 04 0a000001 e0 63 02 beef`, "08 0a");
    const decoded = decodeUpdate(body, internal);
    assert.ok(decoded.ok);
    const { attributes } = decoded.message;
    body.fill(0);
    assert.equal(decoded.message.attributes, attributes);
    assert.deepEqual(attributes?.unknown, [{ flags: 0xe0, code: 0x63, value: fromHex("beef") }]);
  });
});

suite("decodePathAttributes", () => {
  test("leaves out what is malformed", () => {
    const raw = fromHex("40 01 01 09 40 02 01 02 80 04 03 000001 c0 08 04 00010002 80");
    assert.deepEqual(decodePathAttributes(raw, internal), {
      origin: 2,
      asPath: [],
      communities: [0x00010002],
    });
  });

  test("never throws", () => {
    const context = fc.record({
      fourOctetAs: fc.boolean(),
      external: fc.boolean(),
      families: fc.constant([4, 6] as const),
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), context, (raw, each) => {
        decodePathAttributes(raw, each);
      }),
    );
  });
});

function decode(attributes: string, nlri: string): UpdateMessage {
  const decoded = decodeUpdate(updateBody(attributes, nlri), internal);
  assert.ok(decoded.ok, decoded.ok ? "" : decoded.reason);
  return decoded.message;
}

function updateBody(attributes: string, nlri: string): Uint8Array {
  const length = fromHex(attributes).length.toString(16).padStart(4, "0");
  return fromHex(`0000 ${length} ${attributes} ${nlri}`);
}
