import assert from "node:assert/strict";
import { test } from "node:test";
import { textOfBlock } from "../../../src/datastore/block-text.ts";
import { assign, newBlock } from "../../../src/ipam/block.ts";
import { stringifyBigJson } from "../../../src/lib/big-json.ts";
import { parsePrefix } from "../../../src/lib/prefix.ts";

test("textOfBlock() is the JSON of a block, at each of its changes", () => {
  let block = newBlock(parsePrefix("10.0.0.0/29"), "host:node1", new Date(0));
  for (let pod = 0; pod < 8; pod++) {
    assert.equal(textOfBlock({ ...block }), stringifyBigJson(block));
    const attributes = { pod: `"${pod}"\n`, node: "node1" };
    block = assign(block, 1, { handle: `h${pod}`, attributes }).block;
  }
  assert.equal(textOfBlock({ ...block }), stringifyBigJson(block));
});

test("textOfBlock() leaves out what is undefined, and keeps null and unknown fields", () => {
  const fields = { affinity: undefined, attributes: null, sequenceNumber: 3n, note: { a: [1n] } };
  assert.equal(textOfBlock(fields), stringifyBigJson(fields));
});
