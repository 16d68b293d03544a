import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { test } from "node:test";
import { readList } from "../../../../src/datastore/kubernetes/list-reader.ts";

/** The items of a list that comes in pieces of `size` bytes. */
async function itemsOf(text: string, size: number): Promise<readonly unknown[]> {
  const bytes = Buffer.from(text);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  const items: unknown[] = [];
  const body = Readable.from(pieces) as IncomingMessage;
  const metadata = await readList(body, (json) => items.push(JSON.parse(json)));
  assert.deepEqual(metadata, { resourceVersion: "7", continue: "more[" });
  return items;
}

test("a list gives each item and its metadata, wherever its bytes are cut", async () => {
  const items = [
    { metadata: { name: "a" }, list: [[1], { x: [] }] },
    { text: 'quote " and brace }] and backslash \\', empty: {} },
    { text: "üñ\u{1f408}\\", items: [{}] },
  ];
  const metadata = { resourceVersion: "7", continue: "more[" };
  const lists = [
    JSON.stringify({ kind: "PodList", metadata, items }),
    JSON.stringify({ items, metadata }),
    JSON.stringify({ metadata, items }, undefined, 2),
  ];
  for (const text of lists) {
    for (const size of [1, 2, 3, 7, 64, 10_000]) assert.deepEqual(await itemsOf(text, size), items);
  }
});

test("a list of nothing has no items", async () => {
  const metadata = '"metadata":{"resourceVersion":"7","continue":"more["}';
  assert.deepEqual(await itemsOf(`{${metadata},"items":[]}`, 5), []);
  assert.deepEqual(await itemsOf(`{${metadata},"items":null}`, 5), []);
});

test("half a list is an error", async () => {
  const half = Readable.from([
    Buffer.from('{"metadata":{"resourceVersion":"7"},"items":[{"a":1},'),
  ]);
  await assert.rejects(
    readList(half as IncomingMessage, () => undefined),
    SyntaxError,
  );
});
