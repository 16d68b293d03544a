import assert from "node:assert/strict";
import { test } from "node:test";
import { electedLeaseKey, renewedLease } from "../../../../src/api/elected-reflectors.ts";
import type { Lease } from "../../../../src/api/resources/kubernetes.ts";
import { isCovered, whyIncomplete } from "../../../../src/controllers/reflectors/coverage.ts";
import { ElectionMemory } from "../../../../src/controllers/reflectors/election-memory.ts";
import type {
  ElectionNode,
  ElectionView,
} from "../../../../src/controllers/reflectors/election-view.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import type { Millis } from "../../../../src/lib/clock.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

function node(name: string, addresses: readonly string[], isElected: boolean): ElectionNode {
  return {
    ...{ name, zone: "", asn: 64512 as Asn, clusterId: "10.0.0.1", isElected },
    addresses: addresses.map(parseIpAddr),
    ...{ mayWork: true, isDrained: false, isLeaving: false, isForeign: false },
  };
}

function view(isElected: boolean): ElectionView {
  const nodes = [node("n1", ["10.0.0.1"], isElected), node("n2", ["10.0.0.2"], false)];
  const settings = { perZone: 1, from: 2, meshBelow: 2 };
  return { settings, problem: "", mesh: "on", peer: "ours", nodes };
}

function lease(resourceVersion: string): Lease {
  const told = renewedLease("n1", undefined, { established: ["10.0.0.2"], now: new Date(0) });
  const { name, namespace = "" } = electedLeaseKey("n1");
  return { ...told, metadata: { ...told.metadata, name, namespace, resourceVersion } };
}

const at = (seconds: number) => (seconds * 1000) as Millis;

test("a Lease that is not renewed for its time is a dead reflector's, which is of no use for a while", () => {
  const memory = new ElectionMemory(at(0));
  const look = (seconds: number, version: string) => {
    const { reports, unfit } = memory.observe(view(true), [lease(version)], at(seconds));
    const { isAlive, isCurrent } = reports.get("n1") ?? {};
    return [isAlive, isCurrent, [...unfit]];
  };
  // Whether it is of before the election nobody knows until it changes.
  assert.deepEqual(look(0, "1"), [true, false, []]);
  assert.deepEqual(look(50, "2"), [true, true, []]);
  assert.deepEqual(look(109, "2"), [true, true, []]);
  assert.deepEqual(look(110, "2"), [false, true, ["n1"]]);
  const unfitAt = (seconds: number) => memory.observe(view(false), [], at(seconds)).unfit.size;
  assert.deepEqual([unfitAt(709), unfitAt(710)], [1, 0]);
});

test("an elected node that tells nothing is given up after three minutes", () => {
  const memory = new ElectionMemory(at(0));
  const unfitAt = (seconds: number) => memory.observe(view(true), [], at(seconds)).unfit.size;
  assert.deepEqual([unfitAt(0), unfitAt(179), unfitAt(180)], [0, 0, 1]);
});

test("when reflectors have failed is remembered, and not when nobody asks for them", () => {
  const back = { phase: "returning", reason: "", actions: [{ kind: "meshOn" }] } as const;
  for (const settings of [view(true).settings, undefined]) {
    const memory = new ElectionMemory(at(0));
    memory.changed(back, { ...view(true), settings }, at(10));
    const { fellBackMs, quietMs } = memory.observe(view(true), [], at(30));
    const expected = settings === undefined ? Number.POSITIVE_INFINITY : 20_000;
    assert.deepEqual([fellBackMs, quietMs], [expected, 20_000]);
  }
});

test("a node of two families has a session of each, or is not reached", () => {
  const both = node("n2", ["10.0.0.2", "fd00::2"], false);
  const nodes = [node("n1", ["10.0.0.1", "fd00::1"], true), both];
  const reported = (established: readonly string[]) =>
    new Map([["n1", { isAlive: true, isCurrent: true, established: new Set(established) }]]);
  const one = reported(["10.0.0.2"]);
  const all = reported(["10.0.0.2", "fd00::2"]);
  const uncovered = new Map<string, number>();
  assert.deepEqual([isCovered(both, one), isCovered(both, all)], [false, true]);
  const why = whyIncomplete("n1", nodes, { reports: one, uncovered });
  assert.equal(why, "n2 has no session with n1");
  assert.equal(whyIncomplete("n1", nodes, { reports: all, uncovered }), "");
});
