import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { jsonPatch, mergePatch } from "../../../src/cli/json-patch.ts";
import { InputError } from "../../../src/lib/errors.ts";

/** RFC 7396 appendix A. */
const merges: readonly (readonly [target: unknown, patch: unknown, result: unknown])[] = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [
    ["a", "b"],
    ["c", "d"],
    ["c", "d"],
  ],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

for (const [target, patch, result] of merges) {
  test(`mergePatch(${JSON.stringify(target)}, ${JSON.stringify(patch)})`, () => {
    assert.deepEqual(mergePatch(target, patch), result);
  });
}

/** RFC 6902 appendix A, and the edges of arrays. */
const patches: readonly (readonly [document: unknown, patch: unknown, result: unknown])[] = [
  [{ foo: "bar" }, [{ op: "add", path: "/baz", value: "qux" }], { baz: "qux", foo: "bar" }],
  [{ foo: ["a", "b"] }, [{ op: "add", path: "/foo/1", value: "x" }], { foo: ["a", "x", "b"] }],
  [{ foo: ["a"] }, [{ op: "add", path: "/foo/-", value: ["b"] }], { foo: ["a", ["b"]] }],
  [{ baz: "qux", foo: "bar" }, [{ op: "remove", path: "/baz" }], { foo: "bar" }],
  [{ foo: ["a", "b", "c"] }, [{ op: "remove", path: "/foo/1" }], { foo: ["a", "c"] }],
  [{ foo: ["a", "b"] }, [{ op: "replace", path: "/foo/0", value: "x" }], { foo: ["x", "b"] }],
  [{ a: { b: 1 }, c: {} }, [{ op: "move", from: "/a/b", path: "/c/d" }], { a: {}, c: { d: 1 } }],
  [
    { foo: ["a", "b", "c"] },
    [{ op: "move", from: "/foo/0", path: "/foo/2" }],
    { foo: ["b", "c", "a"] },
  ],
  [{ a: [1] }, [{ op: "copy", from: "/a", path: "/b" }], { a: [1], b: [1] }],
  [{ a: 1 }, [{ op: "replace", path: "", value: { b: 2 } }], { b: 2 }],
  [
    { "a/b": 1, "m~n": 2 },
    [
      { op: "test", path: "/m~0n", value: 2 },
      { op: "remove", path: "/a~1b" },
    ],
    { "m~n": 2 },
  ],
];

for (const [document, patch, result] of patches) {
  test(`jsonPatch(${JSON.stringify(document)}, ${JSON.stringify(patch)})`, () => {
    const before = structuredClone(document);
    assert.deepEqual(jsonPatch(document, patch), result);
    assert.deepEqual(document, before);
  });
}

const refused: readonly unknown[] = [
  { op: "add", path: "/x/y", value: 1 },
  { op: "add", path: "/list/9", value: 1 },
  { op: "add", path: "/list/01", value: 1 },
  { op: "add", path: "/list/length", value: 1 },
  { op: "remove", path: "/list/length" },
  { op: "remove", path: "/nope" },
  { op: "replace", path: "/nope", value: 1 },
  { op: "add", path: "a", value: 1 },
  { op: "add", path: "/a" },
  { op: "add", path: "/__proto__/x", value: 1 },
  { op: "add", path: "/constructor/x", value: 1 },
  { op: "test", path: "/list", value: [] },
  { op: "spray", path: "/a" },
  "text",
];

for (const operation of refused) {
  test(`jsonPatch() refuses ${JSON.stringify(operation)}`, () => {
    assert.throws(() => jsonPatch({ list: [1] }, [operation]), InputError);
  });
}

test("jsonPatch() throws nothing but InputError, and never changes a prototype", () => {
  const path = fc.oneof(
    fc.constantFrom("", "/a", "/a/0", "/a/-", "/__proto__", "/__proto__/x", "/a/length"),
    fc.string(),
  );
  const operation = fc.record({
    op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test"),
    path,
    from: path,
    value: fc.jsonValue(),
  });
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(operation, { maxLength: 4 }), (document, patch) => {
      try {
        jsonPatch(document, patch);
      } catch (error) {
        assert.ok(error instanceof InputError, String(error));
      }
      assert.equal(({} as Record<string, unknown>)["x"], undefined);
    }),
  );
});
