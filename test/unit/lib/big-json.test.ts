import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseBigJson, stringifyBigJson } from "../../../src/lib/big-json.ts";

test("integers beyond 2^53 keep every digit", () => {
  const text = '{"sequenceNumber":1755856800000000003,"small":1,"half":0.5}';
  const value = parseBigJson(text) as { sequenceNumber: bigint };
  assert.equal(value.sequenceNumber, 1755856800000000003n);
  assert.equal(stringifyBigJson(value), text);
});

test("what JSON can hold is read as it was written, digits in strings too", () => {
  const digits = "12345678901234567";
  const text = fc.constantFrom(digits, `:${digits},`, `\\"${digits}`, `\u0001${digits}`, "\\", "é");
  const leaf = fc.oneof(
    text,
    fc.string(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
    fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
    fc.constantFrom(null, true, 0, 2 ** 53 - 1),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      leaf,
      fc.array(tie("value")),
      fc.dictionary(fc.oneof(text, fc.string()), tie("value")),
    ),
  }));
  fc.assert(
    fc.property(value, (written) => {
      const expected = stringifyBigJson(written);
      assert.equal(stringifyBigJson(parseBigJson(expected)), expected);
    }),
  );
});

test("a number with a fraction or an exponent stays a number, whatever its digits", () => {
  for (const number of [
    "0.12345678901234567890",
    "-12345678901234567.5",
    "1e+20",
    "12345678901234567e3",
  ]) {
    assert.equal(parseBigJson(`[${number}]`)?.toString(), Number(number).toString());
  }
});

test("text that is no JSON is refused where a large integer stands in it too", () => {
  assert.throws(() => parseBigJson("[12345678901234567"), SyntaxError);
  assert.throws(() => parseBigJson("[012345678901234567]"), SyntaxError);
});
