import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { AdjRibIn } from "../../../../src/bgp/rib/adj-rib-in.ts";
import { AttributeStore } from "../../../../src/bgp/rib/attribute-store.ts";

interface Key {
  readonly prefix: number;
  readonly peer: number;
  readonly pathId: number;
}

type Step =
  | (Key & { readonly op: "set"; readonly med: number })
  | (Key & { readonly op: "remove" })
  | { readonly op: "stale" | "dropStale" | "drop" | "rewriteStale"; readonly peer: number }
  | { readonly op: "sweep"; readonly limit: number };

const small = fc.integer({ min: 0, max: 1 });
const key = { prefix: small, peer: small, pathId: small };
/** MED of a path that is long-lived stale in the test; routes with MED 0 do not become it. */
const rewrittenMed = 7;
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ op: fc.constant("set" as const), ...key, med: small }),
    fc.record({ op: fc.constant("remove" as const), ...key }),
    fc.record({
      op: fc.constantFrom("stale" as const, "dropStale" as const, "drop" as const),
      peer: small,
    }),
    fc.record({ op: fc.constant("rewriteStale" as const), peer: small }),
    fc.record({ op: fc.constant("sweep" as const), limit: fc.integer({ min: 1, max: 3 }) }),
  ),
  { maxLength: 60, size: "max" },
);

interface ModelPath {
  readonly med: number;
  readonly stale: boolean;
}

test("AdjRibIn is a map from prefix, peer and path identifier to attributes, with a stale mark", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const attributes = new AttributeStore();
      const rib = new AdjRibIn(attributes);
      const model = new Map<string, ModelPath>();
      for (const step of list) {
        apply(rib, attributes, step);
        applyToModel(model, step);
        assert.deepEqual(contents(rib, attributes), model);
        // What is marked is taken later.
        if (!rib.isMarked) assert.equal(rib.size, model.size);
        for (const peer of [0, 1]) assert.equal(rib.countOf(peer), countIn(model, peer));
      }
      sweepAll(rib);
      rib.reclaim();
      assert.equal(rib.size, model.size);
      assert.equal(attributes.size, new Set([...model.values()].map(({ med }) => med)).size);
    }),
  );
});

function apply(rib: AdjRibIn, attributes: AttributeStore, step: Step): void {
  const rewrite = (id: number) =>
    attributes.get(id).med === 0 ? 0 : attributes.intern(withMed(rewrittenMed), undefined);
  switch (step.op) {
    case "set":
      rib.set(step.prefix, step.peer, attributes.intern(withMed(step.med), undefined), step.pathId);
      break;
    case "remove":
      rib.remove(step.prefix, step.peer, step.pathId);
      break;
    case "stale":
      rib.markStale(step.peer);
      break;
    case "rewriteStale":
      rib.rewriteStale(step.peer, rewrite);
      sweepAll(rib);
      break;
    case "sweep":
      rib.sweep(step.limit, () => undefined);
      break;
    default:
      rib.condemn(step.peer, step.op === "drop" ? "all" : "stale");
  }
}

function sweepAll(rib: AdjRibIn): number[] {
  const prefixes: number[] = [];
  while (rib.isMarked) rib.sweep(2, (prefix) => prefixes.push(prefix));
  return prefixes;
}

function withMed(med: number) {
  return { origin: 0 as const, asPath: [], med };
}

function applyToModel(model: Map<string, ModelPath>, step: Step): void {
  if (step.op === "sweep") return;
  if (step.op === "set") {
    model.set(keyOf(step), { med: step.med, stale: false });
  } else if (step.op === "remove") model.delete(keyOf(step));
  else {
    for (const [key, path] of model) {
      if (!key.startsWith(`${step.peer} `)) continue;
      if (step.op === "stale") model.set(key, { ...path, stale: true });
      else if (step.op === "drop" || (path.stale && step.op === "dropStale")) model.delete(key);
      else if (!path.stale) continue;
      else if (path.med === 0) model.delete(key);
      else model.set(key, { ...path, med: rewrittenMed });
    }
  }
}

function keyOf({ peer, prefix, pathId }: Key): string {
  return `${peer} ${prefix} ${pathId}`;
}

function countIn(model: ReadonlyMap<string, ModelPath>, peer: number): number {
  return [...model.keys()].filter((each) => each.startsWith(`${peer} `)).length;
}

function contents(rib: AdjRibIn, attributes: AttributeStore): Map<string, ModelPath> {
  const found = new Map<string, ModelPath>();
  for (let prefix = 0; prefix <= 1; prefix++) {
    for (const { peer, pathId, attributesId, stale } of rib.paths(prefix)) {
      const { med = -1 } = attributes.get(attributesId).attributes;
      found.set(keyOf({ prefix, peer, pathId }), { med, stale });
    }
  }
  return found;
}

test("AdjRibIn.set() says whether something has changed", () => {
  const attributes = new AttributeStore();
  const rib = new AdjRibIn(attributes);
  const id = () => attributes.intern({ origin: 0, asPath: [] }, undefined);
  assert.equal(rib.set(5, 1, id()), true);
  assert.equal(rib.set(5, 1, id()), false);
  assert.equal(rib.countOf(1), 1);
});

test("A path that is told again is not stale", () => {
  const attributes = new AttributeStore();
  const rib = new AdjRibIn(attributes);
  const id = () => attributes.intern({ origin: 0, asPath: [] }, undefined);
  rib.set(5, 1, id());
  assert.equal(rib.markStale(1), 1);
  assert.equal(rib.paths(5)[0]?.stale, true);
  rib.set(5, 1, id());
  assert.equal(rib.paths(5)[0]?.stale, false);
  rib.condemn(1, "stale");
  assert.equal(rib.isMarked, false);
});

test("AdjRibIn grows", () => {
  const attributes = new AttributeStore();
  const rib = new AdjRibIn(attributes);
  for (let prefix = 0; prefix < 5000; prefix++) {
    for (const peer of [1, 2]) {
      rib.set(prefix, peer, attributes.intern({ origin: 0, asPath: [] }, undefined));
    }
  }
  assert.equal(rib.size, 10_000);
  rib.condemn(1, "all");
  assert.equal(sweepAll(rib).length, 5000);
  assert.deepEqual(
    rib.paths(4999).map(({ peer }) => peer),
    [2],
  );
  rib.condemn(2, "all");
  sweepAll(rib);
  assert.equal(attributes.size, 0);
});
