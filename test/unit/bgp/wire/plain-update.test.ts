import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import type { DecodeContext } from "../../../../src/bgp/wire/context.ts";
import { decodeMessage } from "../../../../src/bgp/wire/decode.ts";
import { type Frame, FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import { readPlainUpdate } from "../../../../src/bgp/wire/plain-update.ts";
import { plainMessage } from "../../../support/plain-message.ts";
import { vectors } from "../../../vectors/vectors.ts";

const contexts: readonly DecodeContext[] = [
  { fourOctetAs: true, external: false, families: [4, 6] },
  { fourOctetAs: true, external: true, families: [4] },
  { fourOctetAs: true, external: false, families: [6] },
  { fourOctetAs: true, external: false, families: [4], addPath: [4] },
  { fourOctetAs: false, external: false, families: [4] },
];

/** ORIGIN, AS_PATH and NEXT_HOP; each test changes something. */
const origin = [0x40, 1, 1, 0];
const asPath = [0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe8];
const nextHop = [0x40, 3, 4, 10, 0, 0, 1];
const usual = [...origin, ...asPath, ...nextHop];
const internal: DecodeContext = { fourOctetAs: true, external: false, families: [4] };

suite("readPlainUpdate()", () => {
  test("reads what most UPDATEs are", () => {
    const lists = [0xc0, 8, 4, 0xff, 0xfe, 0, 1, 0xc0, 32, 12, ...Array(12).fill(7)];
    const body = update(
      [...usual, 0x80, 4, 4, 0, 0, 0, 5, ...lists],
      [24, 10, 1, 2, 0, 9, 10, 0x80],
    );
    const read = readPlainUpdate(bodyAt(body), internal);
    assert.ok(read !== undefined);
    const { prefixes, buffer, start, end } = read.plain;
    assert.deepEqual(
      [prefixes.count, [...prefixes.words.subarray(0, 3)], [...prefixes.lengths.subarray(0, 3)]],
      [3, [0x0a010200, 0, 0x0a800000], [24, 0, 9]],
    );
    assert.deepEqual(buffer.subarray(start, end), read.rawAttributes);
    assertSame(body, internal);
  });

  const others: Readonly<Record<string, readonly [number[], number[]]>> = {
    "an ORIGIN that is not known": [
      [0x40, 1, 1, 3, ...asPath, ...nextHop],
      [8, 10],
    ],
    "no ORIGIN": [
      [...asPath, ...nextHop],
      [8, 10],
    ],
    "no NEXT_HOP": [
      [...origin, ...asPath],
      [8, 10],
    ],
    "a NEXT_HOP of class D": [
      [...origin, ...asPath, 0x40, 3, 4, 224, 0, 0, 1],
      [8, 10],
    ],
    "an attribute twice": [
      [...usual, ...origin],
      [8, 10],
    ],
    "wrong flags": [
      [...usual, 0x40, 4, 4, 0, 0, 0, 5],
      [8, 10],
    ],
    "the Partial bit": [
      [...usual, 0xe0, 8, 4, 0, 0, 0, 5],
      [8, 10],
    ],
    "half a community": [
      [...usual, 0xc0, 8, 2, 0, 1],
      [8, 10],
    ],
    "an attribute that we do not know": [
      [...usual, 0xc0, 99, 1, 0],
      [8, 10],
    ],
    "an attribute past the field": [
      [...usual, 0x80, 4, 5, 0, 0, 0, 5],
      [8, 10],
    ],
    "half an attribute": [
      [...usual, 0x80, 4],
      [8, 10],
    ],
    "AS 0": [
      [...origin, 0x40, 2, 6, 2, 1, 0, 0, 0, 0, ...nextHop],
      [8, 10],
    ],
    "a segment without an AS": [
      [...origin, 0x40, 2, 2, 2, 0, ...nextHop],
      [8, 10],
    ],
    "a segment past AS_PATH": [
      [...origin, 0x40, 2, 6, 2, 2, 0, 0, 0, 1, ...nextHop],
      [8, 10],
    ],
    "a confederation": [
      [...origin, 0x40, 2, 6, 3, 1, 0, 0, 0, 1, ...nextHop],
      [8, 10],
    ],
    "a prefix of 33 bits": [usual, [33, 10, 0, 0, 0, 0]],
    "half a prefix": [usual, [24, 10, 0]],
    "no prefix": [usual, []],
  };
  for (const [what, [attributes, prefixes]] of Object.entries(others)) {
    test(`leaves to others what has ${what}`, () => {
      assert.equal(readPlainUpdate(bodyAt(update(attributes, prefixes)), internal), undefined);
    });
  }

  test("leaves to others what only an internal peer may say", () => {
    const body = update([...usual, 0x40, 5, 4, 0, 0, 0, 100], [8, 10]);
    assert.ok(readPlainUpdate(bodyAt(body), internal) !== undefined);
    assert.equal(readPlainUpdate(bodyAt(body), { ...internal, external: true }), undefined);
  });

  test("says of every vector, changed or not, what decodeMessage() says", () => {
    const valid = vectors.filter(({ bytes }) => bytes[18] === 2).map(({ bytes }) => bytes);
    const change = fc.tuple(fc.nat({ max: 120 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.array(change, { maxLength: 3 }),
        fc.constantFrom(...contexts),
        (bytes, changes, context) => {
          const copy = bytes.slice();
          // The header stays, so that the rest is looked at.
          for (const [at, value] of changes) copy[19 + (at % (copy.length - 19))] = value;
          new FrameSplitter().push(copy, (frame) => assertSame(frame.body, context));
        },
      ),
      { numRuns: 5000 },
    );
  });
});

function assertSame(body: Uint8Array, context: DecodeContext): void {
  const read = readPlainUpdate(bodyAt(body), context);
  if (read === undefined) return;
  const decoded = decodeMessage({ type: 2, body }, context);
  assert.ok(decoded.ok);
  assert.deepEqual(plainMessage(read), plainMessage(decoded.message));
}

/** In the middle of others' octets, as frames are. */
function bodyAt(body: Uint8Array): Pick<Frame, "buffer" | "start" | "end"> {
  const buffer = new Uint8Array(body.length + 20).fill(0xff);
  buffer.set(body, 10);
  return { buffer, start: 10, end: 10 + body.length };
}

function update(attributes: readonly number[], prefixes: readonly number[]): Uint8Array {
  return Uint8Array.from([0, 0, 0, attributes.length, ...attributes, ...prefixes]);
}
