import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { ceaseNotification, explainNotification } from "../../../../src/bgp/fsm/cease.ts";

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
    assert.equal(
      explainNotification({ code: 6, subcode: 4, data }),
      `Cease/Administrative Reset: "${"é".repeat(127)}"`,
    );
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

suite("explainNotification", () => {
  for (const [what, notification, text] of [
    [
      "words",
      { code: 6, subcode: 2, data: Uint8Array.of(3, ...bytes("bye")) },
      'Cease/Administrative Shutdown: "bye"',
    ],
    ["no words", { code: 6, subcode: 2, data: new Uint8Array(0) }, "Cease/Administrative Shutdown"],
    [
      "a length past the end",
      { code: 6, subcode: 2, data: Uint8Array.of(9, 65) },
      "Cease/Administrative Shutdown",
    ],
    [
      "control characters",
      { code: 6, subcode: 4, data: Uint8Array.of(5, ...bytes('a\n\u001b"b')) },
      'Cease/Administrative Reset: "a b"',
    ],
    [
      "a Hard Reset",
      { code: 6, subcode: 9, data: Uint8Array.of(6, 2, 1, 65) },
      'Cease/Hard Reset (Cease/Administrative Shutdown: "A")',
    ],
    ["an empty Hard Reset", { code: 6, subcode: 9, data: new Uint8Array(0) }, "Cease/Hard Reset"],
    [
      "nested Hard Resets",
      { code: 6, subcode: 9, data: Uint8Array.of(6, 9, 6, 9) },
      "Cease/Hard Reset (Cease/Hard Reset)",
    ],
    [
      "data of another error",
      { code: 2, subcode: 2, data: Uint8Array.of(1, 65) },
      "OPEN Message Error/Bad Peer AS",
    ],
  ] as const) {
    test(`reads ${what}`, () => assert.equal(explainNotification(notification), text));
  }
});
