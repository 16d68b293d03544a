import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import {
  cease,
  describeNotification,
  errorCode,
  explainNotification,
  hardReset,
} from "../../../../src/bgp/wire/notification.ts";
import {
  decodeShutdownCommunication,
  encodeShutdownCommunication,
} from "../../../../src/bgp/wire/shutdown-communication.ts";
import { fromHex } from "../../../vectors/bgp-messages.ts";

/** IANA's registry, a row each: code, subcode, data, words. */
const rows: readonly (readonly [code: number, subcode: number, data: string, words: string])[] = [
  [1, 0, "", "Message Header Error"],
  [1, 1, "", "Message Header Error/Connection Not Synchronized"],
  [1, 2, "0012", "Message Header Error/Bad Message Length: length 18"],
  [1, 3, "06", "Message Header Error/Bad Message Type: type 6"],
  [2, 1, "0004", "OPEN Message Error/Unsupported Version Number: the peer speaks 4"],
  [2, 2, "", "OPEN Message Error/Bad Peer AS"],
  [2, 3, "", "OPEN Message Error/Bad BGP Identifier"],
  [2, 4, "", "OPEN Message Error/Unsupported Optional Parameter"],
  [2, 5, "", "OPEN Message Error/Authentication Failure"],
  [2, 6, "", "OPEN Message Error/Unacceptable Hold Time"],
  [2, 7, "4600", "OPEN Message Error/Unsupported Capability: capability 70"],
  [2, 11, "", "OPEN Message Error/Role Mismatch"],
  [3, 1, "", "UPDATE Message Error/Malformed Attribute List"],
  [3, 2, "406300", "UPDATE Message Error/Unrecognized Well-known Attribute: attribute 99"],
  [3, 3, "03", "UPDATE Message Error/Missing Well-known Attribute: attribute 3"],
  [3, 4, "c00100", "UPDATE Message Error/Attribute Flags Error: attribute 1"],
  [3, 5, "400100", "UPDATE Message Error/Attribute Length Error: attribute 1"],
  [3, 6, "", "UPDATE Message Error/Invalid ORIGIN Attribute"],
  [3, 7, "", "UPDATE Message Error/AS Routing Loop"],
  [3, 8, "", "UPDATE Message Error/Invalid NEXT_HOP Attribute"],
  [3, 9, "", "UPDATE Message Error/Optional Attribute Error"],
  [3, 10, "", "UPDATE Message Error/Invalid Network Field"],
  [3, 11, "", "UPDATE Message Error/Malformed AS_PATH"],
  [4, 0, "", "Hold Timer Expired"],
  [5, 1, "", "Finite State Machine Error/Unexpected Message in OpenSent"],
  [5, 2, "", "Finite State Machine Error/Unexpected Message in OpenConfirm"],
  [5, 3, "", "Finite State Machine Error/Unexpected Message in Established"],
  [6, 1, "0001 01 00000064", "Cease/Maximum Number of Prefixes Reached: at most 100 IPv4 prefixes"],
  [6, 1, "0001", "Cease/Maximum Number of Prefixes Reached"],
  [6, 2, "", "Cease/Administrative Shutdown"],
  [6, 2, "09 6261636b2061742035", 'Cease/Administrative Shutdown: "back at 5"'],
  [6, 2, "05 610a62220d", 'Cease/Administrative Shutdown: "a\\nb\\"\\r"'],
  [6, 2, "06 e280a8e280ae", 'Cease/Administrative Shutdown: "\\u{2028}\\u{202e}"'],
  [6, 2, "02 ff61", "Cease/Administrative Shutdown"],
  [6, 2, "09 6261", "Cease/Administrative Shutdown"],
  [6, 3, "", "Cease/Peer De-configured"],
  [6, 4, "02 6f6b", 'Cease/Administrative Reset: "ok"'],
  [6, 5, "", "Cease/Connection Rejected"],
  [6, 6, "", "Cease/Other Configuration Change"],
  [6, 7, "", "Cease/Connection Collision Resolution"],
  [6, 8, "", "Cease/Out of Resources"],
  [6, 9, "", "Cease/Hard Reset"],
  [6, 9, "0602 02 6f6b", 'Cease/Hard Reset: Cease/Administrative Shutdown: "ok"'],
  [6, 9, "0609 0609", "Cease/Hard Reset"],
  [6, 10, "", "Cease/BFD Down"],
  [7, 1, "", "ROUTE-REFRESH Message Error/Invalid Message Length"],
  [8, 0, "", "Send Hold Timer Expired"],
  [6, 77, "00", "Cease/77"],
  [99, 1, "00", "Error 99/1"],
];

suite("explainNotification", () => {
  for (const [code, subcode, data, words] of rows) {
    test(`says ${words}`, () => {
      assert.equal(explainNotification({ code, subcode, data: fromHex(data) }), words);
      assert.ok(words.startsWith(describeNotification({ code, subcode })));
    });
  }

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
