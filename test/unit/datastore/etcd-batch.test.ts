import assert from "node:assert/strict";
import { test } from "node:test";
import type { Etcd3, IRangeRequest, ITxnRequest } from "etcd3";
import { Batch } from "../../../src/datastore/etcd/batch.ts";

const key = (name: string) => ({ key: Buffer.from(name) });
const write = (name: string) => ({
  conditions: [
    { ...key(name), target: "Version" as const, result: "Equal" as const, version: "0" },
  ],
  operations: [{ request_put: { ...key(name), value: Buffer.from("") } }],
  looks: [{ request_range: key(name) }],
});

/** A client that answers each range with its own key, and refuses writes if told to. */
function fakeClient(calls: string[], failing = false): Etcd3 {
  const header = { revision: "7" };
  const rangeOf = (request: IRangeRequest) => ({
    header,
    kvs: [{ key: request.key }],
    more: false,
  });
  const kv = {
    range: async (request: IRangeRequest) => {
      calls.push(`range ${request.key}`);
      return rangeOf(request);
    },
    txn: async ({ success = [], compare = [] }: ITxnRequest) => {
      calls.push(`txn of ${success.length}`);
      if (failing && compare.length > 0) throw new Error("no space");
      const responses = success.map(({ request_range: range }) =>
        range === undefined ? {} : { response_range: rangeOf(range) },
      );
      return { header, succeeded: true, responses };
    },
  };
  return { kv } as unknown as Etcd3;
}

const keysOf = (answers: readonly { readonly kvs: readonly { readonly key: Buffer }[] }[]) =>
  answers.flatMap(({ kvs }) => kvs.map((each) => each.key.toString()));

test("what is asked for in one turn is one transaction with one write", async () => {
  const calls: string[] = [];
  const batch = new Batch(fakeClient(calls));
  const [a, first, b, second] = await Promise.all([
    batch.read(key("a")),
    batch.write(write("w1")),
    batch.read(key("b")),
    batch.write(write("w2")),
  ]);
  assert.deepEqual(keysOf([a, b]), ["a", "b"]);
  assert.deepEqual(
    [first, second].map(({ succeeded }) => succeeded),
    [true, true],
  );
  assert.deepEqual(calls, ["txn of 3", "txn of 1"]);
  await batch.read(key("c"));
  assert.equal(calls.at(-1), "range c");
});

test("reads are asked for again when the write beside them fails", async () => {
  const calls: string[] = [];
  const batch = new Batch(fakeClient(calls, true));
  const written = batch.write(write("w"));
  const read = Promise.all([batch.read(key("a")), batch.read(key("b"))]);
  await assert.rejects(written, /no space/);
  assert.deepEqual(keysOf(await read), ["a", "b"]);
  assert.deepEqual(calls, ["txn of 3", "txn of 2"]);
});

test("a write of several operations has its answers, and room in its transaction", async () => {
  const calls: string[] = [];
  const batch = new Batch(fakeClient(calls));
  const parts = ["w1", "w2", "w3"].map(write);
  const written = batch.write({
    conditions: parts.flatMap(({ conditions }) => conditions),
    operations: parts.flatMap(({ operations }) => operations),
    looks: parts.flatMap(({ looks }) => looks),
  });
  const names = Array.from({ length: 128 }, (_, index) => `k${index}`);
  const read = Promise.all(names.map((name) => batch.read(key(name))));
  assert.equal((await written).responses.length, 3);
  assert.deepEqual(keysOf(await read), names);
  assert.deepEqual(calls, ["txn of 128", "txn of 3"]);
});

test("more than a transaction may hold is several", async () => {
  const calls: string[] = [];
  const batch = new Batch(fakeClient(calls));
  const names = Array.from({ length: 300 }, (_, index) => `k${index}`);
  assert.deepEqual(keysOf(await Promise.all(names.map((name) => batch.read(key(name))))), names);
  assert.equal(calls.length, 3);
});
