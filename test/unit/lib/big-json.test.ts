import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBigJson, stringifyBigJson } from "../../../src/lib/big-json.ts";

test("integers beyond 2^53 keep every digit", () => {
  const text = '{"sequenceNumber":1755856800000000003,"small":1,"half":0.5}';
  const value = parseBigJson(text) as { sequenceNumber: bigint };
  assert.equal(value.sequenceNumber, 1755856800000000003n);
  assert.equal(stringifyBigJson(value), text);
});
