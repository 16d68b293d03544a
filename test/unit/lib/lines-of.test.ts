import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { test } from "node:test";
import { linesOf } from "../../../src/lib/lines-of.ts";

test("linesOf() gives whole lines, wherever chunks end, and nothing unfinished", async () => {
  const long = "x".repeat(40_000);
  const bytes = Buffer.from(`{"a":"Ärger \u{1f600}"}\n\n${long}\nlast\nunfinished`);
  for (const size of [1, 3, 7, 16_384, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    const lines: string[] = [];
    const body = Readable.from(chunks) as IncomingMessage;
    for await (const line of linesOf(body)) lines.push(line);
    assert.deepEqual(lines, [`{"a":"Ärger \u{1f600}"}`, long, "last"], `chunks of ${size}`);
  }
});
