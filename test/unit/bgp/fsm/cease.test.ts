import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ceaseNotification, isParting } from "../../../../src/bgp/fsm/cease.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

suite("ceaseNotification", () => {
  test("carries words where the subcode may (RFC 9003)", () => {
    const down = ceaseNotification({ ceaseSubcode: 2, message: "müde" }, false);
    assert.deepEqual(down, { code: 6, subcode: 2, data: Uint8Array.of(5, ...bytes("müde")) });
    assert.equal(ceaseNotification({ ceaseSubcode: 6, message: "no" }, false).data.length, 0);
    assert.equal(ceaseNotification({ ceaseSubcode: 4 }, false).data.length, 0);
  });

  test("cuts words at 255 octets, between two characters", () => {
    const { data } = ceaseNotification({ ceaseSubcode: 4, message: "é".repeat(200) }, false);
    assert.deepEqual([data[0], data.length], [254, 255]);
    assert.deepEqual(data.subarray(1), bytes("é".repeat(127)));
  });

  test("is a Hard Reset around what ends the routes too (RFC 8538)", () => {
    const subcodes = (keeps: boolean) =>
      [1, 2, 3, 4, 5, 6, 8, 9].map(
        (ceaseSubcode) => ceaseNotification({ ceaseSubcode }, keeps).subcode,
      );
    assert.deepEqual(subcodes(true), [9, 9, 9, 4, 5, 6, 8, 9]);
    assert.deepEqual(subcodes(false), [1, 2, 3, 4, 5, 6, 8, 4]);
    const { data } = ceaseNotification({ ceaseSubcode: 2, message: "bye" }, true);
    assert.deepEqual(data, Uint8Array.of(6, 2, 3, ...bytes("bye")));
  });
});

suite("isParting", () => {
  for (const [notification, expected] of [
    [[6, 1], false],
    [[6, 2], true],
    [[6, 4], true],
    [[6, 5], true],
    [[6, 8], false],
    [[6, 9], false],
    [[6, 9, 6, 2], true],
    [[6, 9, 6, 1], false],
    [[6, 9, 2, 2], false],
    [[6, 10], false],
    [[2, 2], false],
  ] as const) {
    test(`is ${expected} for ${notification.join("/")}`, () => {
      const [code, subcode, ...data] = notification;
      assert.equal(isParting({ code, subcode, data: Uint8Array.from(data) }), expected);
    });
  }
});
