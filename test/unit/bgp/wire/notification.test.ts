import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import {
  cease,
  errorCode,
  explainNotification,
  hardReset,
} from "../../../../src/bgp/wire/notification.ts";
import {
  decodeShutdownCommunication,
  encodeShutdownCommunication,
} from "../../../../src/bgp/wire/shutdown-communication.ts";
import { fromHex } from "../../../support/hex.ts";

suite("explainNotification", () => {
  test("gives one line without control characters, whatever the octets", () => {
    fc.assert(
      fc.property(fc.nat(10), fc.nat(12), fc.uint8Array(), (code, subcode, data) => {
        assert.doesNotMatch(explainNotification({ code, subcode, data }), /\p{Cc}/u);
      }),
    );
  });
});

suite("hardReset", () => {
  test("wraps the reason (RFC 8538 section 3.1)", () => {
    const data = encodeShutdownCommunication("ok");
    const reason = { code: errorCode.cease, subcode: cease.administrativeShutdown, data };
    assert.deepEqual(hardReset(reason), { code: 6, subcode: 9, data: fromHex("0602 02 6f6b") });
  });
});

suite("shutdown communication", () => {
  test("is empty without words", () => {
    assert.equal(encodeShutdownCommunication("").length, 0);
    assert.equal(decodeShutdownCommunication(new Uint8Array(0)), undefined);
    assert.equal(decodeShutdownCommunication(Uint8Array.of(0)), undefined);
  });

  test("is cut between characters at 255 octets (RFC 9003 section 2)", () => {
    const data = encodeShutdownCommunication("é".repeat(200));
    assert.deepEqual([data.length, data[0]], [255, 254]);
    assert.equal(decodeShutdownCommunication(data), "é".repeat(127));
  });

  test("gives back any words that fit", () => {
    const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(words, (text) => {
        if (Buffer.byteLength(text) > 255) return;
        assert.equal(decodeShutdownCommunication(encodeShutdownCommunication(text)), text);
      }),
    );
  });
});
