import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { AttributeCursor } from "../../../../src/bgp/wire/attribute-cursor.ts";
import { attributeRows } from "../../../../src/bgp/wire/attribute-rows.ts";
import { decodeMessage } from "../../../../src/bgp/wire/decode.ts";
import { FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import {
  describeNotification,
  explainNotification,
} from "../../../../src/bgp/wire/notification.ts";
import { encodeMessage } from "../../../support/encode-message.ts";
import { plainMessage } from "../../../support/plain-message.ts";
import { type Vector, vectors } from "../../../vectors/vectors.ts";

/** Subcodes of each code (IANA, "BGP Error (Notification) Codes"); 0 where there are none. */
const registry: Readonly<Record<number, readonly number[]>> = {
  1: [1, 2, 3],
  2: [1, 2, 3, 4, 5, 6, 7, 11],
  3: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  4: [0],
  5: [1, 2, 3],
  6: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  7: [1],
  8: [0],
};

suite("vectors", () => {
  for (const vector of vectors) {
    test(`decodeMessage() gives what ${vector.file} says of ${vector.name}`, () => {
      assert.deepEqual(decodeOne(vector), vector.expected);
    });
    const { words } = vector;
    if (words !== undefined) {
      test(`explainNotification() says ${words}`, () => {
        assert.ok("message" in vector.expected && vector.expected.message.kind === "notification");
        assert.equal(explainNotification(vector.expected.message), words);
        assert.ok(words.startsWith(describeNotification(vector.expected.message)));
      });
    }
    if (vector.decodeOnly || !("message" in vector.expected)) continue;
    const { message } = vector.expected;
    test(`encoding gives the octets that ${vector.file} has for ${vector.name}`, () => {
      assert.deepEqual(encodeMessage(message, vector.context), [vector.bytes]);
    });
  }

  test("there is one for every attribute that we know", () => {
    const codes = new Set(vectors.flatMap(attributeCodes));
    for (const { code, name } of attributeRows) assert.ok(codes.has(code), name);
  });

  test("there is one for every code and subcode of NOTIFICATION that IANA lists", () => {
    const named = new Set(
      vectors.flatMap(({ expected }) =>
        "message" in expected && expected.message.kind === "notification"
          ? [describeNotification(expected.message)]
          : [],
      ),
    );
    for (const [code, subcodes] of Object.entries(registry)) {
      for (const subcode of subcodes) {
        const name = describeNotification({ code: Number(code), subcode });
        assert.doesNotMatch(name, /\d$/, "a subcode without a name");
        assert.ok(named.has(name), name);
      }
    }
  });

  test("there is one for every error that we answer with a NOTIFICATION", () => {
    const answered = new Set(
      vectors.flatMap(({ expected }) =>
        "error" in expected ? [`${expected.error.code}/${expected.error.subcode}`] : [],
      ),
    );
    assert.deepEqual([...answered].sort(), [
      "1/1",
      "1/2",
      "1/3",
      "2/0",
      "2/1",
      "2/4",
      "3/1",
      "3/10",
      "3/2",
      "3/9",
      "7/1",
    ]);
  });

  test("there is one for every kind of capability", () => {
    const kinds = new Set(
      vectors.flatMap(({ expected }) =>
        "message" in expected && expected.message.kind === "open"
          ? expected.message.capabilities.map(({ kind }) => kind)
          : [],
      ),
    );
    assert.deepEqual([...kinds].sort(), [
      "addPath",
      "enhancedRouteRefresh",
      "extendedMessage",
      "extendedNextHop",
      "fourOctetAs",
      "gracefulRestart",
      "longLivedGracefulRestart",
      "multiprotocol",
      "routeRefresh",
      "unknown",
    ]);
  });
});

function decodeOne({ bytes, context }: Vector): Vector["expected"] {
  const results: Vector["expected"][] = [];
  const problem = new FrameSplitter().push(bytes, (frame) => {
    const decoded = decodeMessage(frame, context);
    results.push(
      decoded.ok ? { message: plainMessage(decoded.message) } : { error: decoded.notification },
    );
  });
  if (problem !== undefined) results.push({ error: problem.notification });
  assert.equal(results.length, 1);
  return results[0] as Vector["expected"];
}

function attributeCodes({ type, bytes, isFramed }: Vector): number[] {
  if (type !== 2 || !isFramed) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = 19 + 2 + view.getUint16(19);
  if (start + 2 > bytes.length) return [];
  const cursor = new AttributeCursor(bytes.subarray(start + 2, start + 2 + view.getUint16(start)));
  const codes: number[] = [];
  while (cursor.next()) codes.push(cursor.code);
  return codes;
}
