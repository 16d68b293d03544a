import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownAnswers } from "../../../../src/datastore/embedded/known-answers.ts";

/** A database of which only the changes are asked, and how often. */
function changing(limit = 100) {
  const kinds: string[] = [];
  const asked: number[] = [];
  const answers = new KnownAnswers((revision) => {
    asked.push(revision);
    const tooLong = kinds.length - revision >= limit;
    return { kinds: tooLong ? undefined : kinds.slice(revision), revision: kinds.length };
  });
  let reads = 0;
  const read = async (kind: string) => {
    await Promise.resolve();
    return answers.get(kind, "all", () => ({ items: [++reads] })).items[0];
  };
  return { kinds, asked, answers, read };
}

test("an answer holds until an object of its kind is changed", async () => {
  const { kinds, read } = changing();
  assert.equal(await read("IPPool"), 1);
  kinds.push("IPAMBlock");
  assert.equal(await read("IPPool"), 1);
  kinds.push("IPPool");
  assert.equal(await read("IPPool"), 2);
});

test("what was changed too long ago to tell is read again", async () => {
  const { kinds, read } = changing(2);
  await read("IPPool");
  kinds.push("Node", "Node");
  assert.equal(await read("IPPool"), 2);
});

test("the changes are asked for once a turn", async () => {
  const { asked, read } = changing();
  await Promise.all([read("IPPool"), read("Node")]);
  assert.ok(asked.length <= 2);
  const { length } = asked;
  await read("Node");
  assert.equal(asked.length, length + 1);
});

test("a write of this process is known in the same turn, and another's before it is not passed over", () => {
  const { kinds, answers } = changing();
  let reads = 0;
  const read = (kind: string) => answers.get(kind, "all", () => ({ items: [++reads] })).items[0];
  assert.equal(read("IPPool"), 1);
  kinds.push("IPPool");
  answers.wrote(["IPPool"], [1]);
  assert.equal(answers.revision, 1);
  assert.equal(read("IPPool"), 2);
  kinds.push("IPPool", "Node");
  answers.wrote(["Node"], [3]);
  assert.equal(read("IPPool"), 3);
});

test("long answers are not kept", async () => {
  const { answers } = changing();
  const items = Array.from({ length: 300 }, (_, index) => index);
  assert.notEqual(
    answers.get("Node", "all", () => ({ items: [...items] })),
    answers.get("Node", "all", () => ({ items: [...items] })),
  );
});
