import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { AdjRibIn } from "../../../../src/bgp/rib/adj-rib-in.ts";
import { AttributeStore } from "../../../../src/bgp/rib/attribute-store.ts";

type Step =
  | { readonly op: "set"; readonly prefix: number; readonly peer: number; readonly med: number }
  | { readonly op: "remove"; readonly prefix: number; readonly peer: number }
  | { readonly op: "stale" | "sweep" | "drop"; readonly peer: number };

const small = fc.integer({ min: 0, max: 1 });
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ op: fc.constant("set" as const), prefix: small, peer: small, med: small }),
    fc.record({ op: fc.constant("remove" as const), prefix: small, peer: small }),
    fc.record({
      op: fc.constantFrom("stale" as const, "sweep" as const, "drop" as const),
      peer: small,
    }),
  ),
  { maxLength: 60, size: "max" },
);

interface ModelPath {
  readonly med: number;
  readonly stale: boolean;
}

test("AdjRibIn is a map from prefix and peer to attributes, with a stale mark", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const attributes = new AttributeStore();
      const rib = new AdjRibIn(attributes);
      const model = new Map<string, ModelPath>();
      for (const step of list) {
        apply(rib, attributes, step);
        applyToModel(model, step);
        assert.deepEqual(contents(rib, attributes), model);
        assert.equal(rib.size, model.size);
      }
      assert.equal(attributes.size, new Set([...model.values()].map(({ med }) => med)).size);
    }),
  );
});

function apply(rib: AdjRibIn, attributes: AttributeStore, step: Step): void {
  if (step.op === "set") {
    const id = attributes.intern({ origin: 0, asPath: [], med: step.med }, undefined);
    rib.set(step.prefix, step.peer, id);
  } else if (step.op === "remove") rib.remove(step.prefix, step.peer);
  else if (step.op === "stale") rib.markStale(step.peer);
  else rib.removePeer(step.peer, step.op === "drop" ? "all" : "stale");
}

function applyToModel(model: Map<string, ModelPath>, step: Step): void {
  if (step.op === "set") {
    model.set(`${step.prefix} ${step.peer}`, { med: step.med, stale: false });
  } else if (step.op === "remove") model.delete(`${step.prefix} ${step.peer}`);
  else {
    for (const [key, path] of model) {
      if (!key.endsWith(` ${step.peer}`)) continue;
      if (step.op === "stale") model.set(key, { ...path, stale: true });
      else if (step.op === "drop" || path.stale) model.delete(key);
    }
  }
}

function contents(rib: AdjRibIn, attributes: AttributeStore): Map<string, ModelPath> {
  const found = new Map<string, ModelPath>();
  for (let prefix = 0; prefix <= 1; prefix++) {
    for (const { peer, attributesId, stale } of rib.paths(prefix)) {
      const { med = -1 } = attributes.get(attributesId).attributes;
      found.set(`${prefix} ${peer}`, { med, stale });
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
  assert.deepEqual([...rib.countByPeer()], [[1, 1]]);
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
  assert.deepEqual(rib.removePeer(1, "stale"), []);
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
  assert.equal(rib.removePeer(1, "all").length, 5000);
  assert.deepEqual(
    rib.paths(4999).map(({ peer }) => peer),
    [2],
  );
  rib.removePeer(2, "all");
  assert.equal(attributes.size, 0);
});
