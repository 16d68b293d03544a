import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SessionReport } from "../../../../src/controllers/reflectors/coverage.ts";
import { chosenReflectors } from "../../../../src/controllers/reflectors/elect.ts";
import {
  type ElectionTimes,
  electionPlan,
} from "../../../../src/controllers/reflectors/election-plan.ts";
import type {
  ElectionNode,
  ElectionView,
} from "../../../../src/controllers/reflectors/election-view.ts";
import type { Asn } from "../../../../src/lib/asn.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";

function node(number: number, more: Partial<ElectionNode> = {}): ElectionNode {
  return {
    name: `n${number}`,
    zone: "",
    addresses: [parseIpAddr(`10.0.0.${number}`)],
    asn: 64512 as Asn,
    clusterId: `10.0.0.${number}`,
    mayWork: true,
    isDrained: false,
    isLeaving: false,
    isElected: false,
    isForeign: false,
    ...more,
  };
}

const settings = { perZone: 1, from: 3, meshBelow: 2 };
const four = [1, 2, 3, 4].map((number) => node(number));

function view(more: Partial<ElectionView> = {}): ElectionView {
  return { settings, problem: "", mesh: "on", peer: "ours", nodes: four, ...more };
}

const well: SessionReport = {
  isAlive: true,
  isCurrent: true,
  established: new Set([1, 2, 3, 4].map((number) => `10.0.0.${number}`)),
};

function times(
  reports: Readonly<Record<string, SessionReport>>,
  more: Partial<ElectionTimes> = {},
): ElectionTimes {
  return {
    reports: new Map(Object.entries(reports)),
    quietMs: 60_000,
    meshOnMs: 600_000,
    fellBackMs: Number.POSITIVE_INFINITY,
    uncovered: new Map(),
    unfit: new Set(),
    ...more,
  };
}

/** n1 is a reflector already, and others stay as they are. */
const withFirst = [node(1, { isElected: true }), ...four.slice(1)];
const kinds = (plan: ReturnType<typeof electionPlan>) =>
  plan.actions.map((action) => ("node" in action ? `${action.kind} ${action.node}` : action.kind));

describe("chosenReflectors()", () => {
  const names = (nodes: readonly ElectionNode[], perZone: number, unfit: readonly string[] = []) =>
    [...chosenReflectors(nodes, perZone, new Set(unfit))].sort();

  test("gives each zone its number, or as many as it has", () => {
    const zoned = [1, 2, 3, 4, 5].map((number) => node(number, { zone: number < 5 ? "a" : "b" }));
    const chosen = names(zoned, 2);
    assert.equal(chosen.length, 3);
    assert.ok(chosen.includes("n5"));
    assert.deepEqual(names([...zoned].reverse(), 2), chosen);
  });

  test("moves nobody whom it need not move", () => {
    const many = Array.from({ length: 50 }, (_, i) => node(i + 1));
    const [first = "", second = ""] = names(many, 2);
    const elected = many.map((each) => ({
      ...each,
      isElected: [first, second].includes(each.name),
    }));
    assert.deepEqual(names([...elected, node(51), node(52)], 2), [first, second]);
    const others = elected.filter(({ name, isElected }) => isElected || name !== "n3");
    assert.deepEqual(names(others, 2), [first, second]);
    const left = elected.map((each) => (each.name === first ? { ...each, isLeaving: true } : each));
    const next = names(left, 2);
    assert.ok(next.includes(second) && !next.includes(first));
  });

  test("takes no node that is down, leaves, lacks a family or was of no use; keeps a leaving one for want of others", () => {
    const both = [parseIpAddr("10.0.0.9"), parseIpAddr("fd00::9")];
    const fit = node(9, { addresses: both });
    const unfit = [
      node(1, { addresses: both, mayWork: false }),
      node(2, { addresses: both, isLeaving: true }),
      node(3),
      node(4, { addresses: both }),
    ];
    assert.deepEqual(names([...unfit, fit], 3, ["n4"]), ["n9"]);
    const leaving = node(2, { isElected: true, isLeaving: true });
    assert.deepEqual(names([leaving, node(1, { isLeaving: true })], 1), ["n2"]);
  });
});

describe("electionPlan()", () => {
  test("goes step by step: BGPPeer, reflector, sessions, and last the mesh", () => {
    assert.deepEqual(kinds(electionPlan(view({ peer: "absent" }), times({}))), ["writePeer"]);
    const [elect = ""] = kinds(electionPlan(view(), times({})));
    assert.match(elect, /^elect n\d$/);
    const nodes = withFirst;
    const soon = electionPlan(view({ nodes }), times({ n1: well }, { quietMs: 5_000 }));
    assert.deepEqual([soon.phase, kinds(soon)], ["electing", []]);
    const old = electionPlan(view({ nodes }), times({ n1: { ...well, isCurrent: false } }));
    assert.deepEqual([old.reason, kinds(old)], ["n1 has not told of its sessions yet", []]);
    const three = { ...well, established: new Set(["10.0.0.2", "10.0.0.3"]) };
    const some = electionPlan(view({ nodes }), times({ n1: three }));
    assert.deepEqual([some.reason, kinds(some)], ["n4 has no session with n1", []]);
    const done = electionPlan(view({ nodes }), times({ n1: well }));
    assert.deepEqual([done.phase, kinds(done)], ["reflectors", ["meshOff"]]);
    const after = electionPlan(view({ nodes, mesh: "off by us" }), times({ n1: well }));
    assert.deepEqual([after.phase, after.reason, kinds(after)], ["reflectors", "", []]);
  });

  test("does not wait for a node that Kubernetes knows to be down, nor for a drained one that is gone", () => {
    const three = { ...well, established: new Set(["10.0.0.2", "10.0.0.3"]) };
    for (const gone of [{ mayWork: false }, { isDrained: true, isLeaving: true }]) {
      const nodes = [...withFirst.slice(0, 3), node(4, gone)];
      const now = times({ n1: three }, { uncovered: new Map([["n4", 90_000]]) });
      assert.deepEqual(kinds(electionPlan(view({ nodes }), now)), ["meshOff"]);
    }
  });

  test("moves a reflector before its node goes: another first, then it", () => {
    const leaving = node(1, { isElected: true, isLeaving: true, isDrained: true });
    const off = { mesh: "off by us" } as const;
    const first = electionPlan(
      view({ ...off, nodes: [leaving, ...four.slice(1)] }),
      times({ n1: well }),
    );
    assert.equal(first.phase, "moving");
    const [, next = ""] = /^elect (n\d)$/.exec(kinds(first).join()) ?? [];
    const nodes = [leaving, ...four.slice(1)].map((each) =>
      each.name === next ? { ...each, isElected: true } : each,
    );
    const none = { ...well, established: new Set<string>() };
    const waiting = electionPlan(view({ ...off, nodes }), times({ n1: well, [next]: none }));
    assert.deepEqual([waiting.phase, kinds(waiting)], ["moving", []]);
    const moved = electionPlan(view({ ...off, nodes }), times({ n1: well, [next]: well }));
    assert.deepEqual(kinds(moved), ["retire n1"]);
  });

  test("brings the mesh back at once when no reflector lives, and when a node has none for long", () => {
    const failed = { mesh: "off by us", nodes: withFirst } as const;
    const dead = electionPlan(view(failed), times({ n1: { ...well, isAlive: false } }));
    assert.deepEqual([dead.phase, kinds(dead)], ["returning", ["meshOn"]]);
    const lost = (ms: number) => times({ n1: well }, { uncovered: new Map([["n3", ms]]) });
    assert.deepEqual(kinds(electionPlan(view(failed), lost(89_000))), []);
    assert.deepEqual(kinds(electionPlan(view(failed), lost(90_000))), ["meshOn"]);
    const again = view({ nodes: withFirst });
    const soon = electionPlan(again, times({ n1: well }, { fellBackMs: 299_000 }));
    assert.deepEqual([soon.reason, kinds(soon)], ["reflectors have failed a short while ago", []]);
  });

  test("returns to the mesh below M nodes: mesh, its sessions, reflectors, BGPPeer", () => {
    const few = { settings: { ...settings, from: 9, meshBelow: 5 }, nodes: withFirst };
    const off = electionPlan(view({ ...few, mesh: "off by us" }), times({ n1: well }));
    assert.deepEqual([off.phase, kinds(off)], ["returning", ["meshOn"]]);
    const soon = electionPlan(view(few), times({ n1: well }, { meshOnMs: 59_000 }));
    assert.deepEqual([soon.phase, kinds(soon)], ["returning", []]);
    assert.deepEqual(kinds(electionPlan(view(few), times({ n1: well }))), ["retire n1"]);
    const last = { ...few, nodes: four };
    assert.deepEqual(kinds(electionPlan(view(last), times({}))), ["deletePeer"]);
    const over = electionPlan(view({ ...last, peer: "absent" }), times({}));
    assert.deepEqual(
      [over.phase, over.reason],
      ["mesh", "there are 4 nodes: reflectors come with 9"],
    );
    // Between the two numbers whatever is there stays.
    const between = { ...settings, from: 9, meshBelow: 4 };
    const stays = view({ settings: between, mesh: "off by us", nodes: withFirst });
    assert.equal(electionPlan(stays, times({ n1: well })).phase, "reflectors");
  });

  test("does nothing, and says why, where people have made what would be in the way", () => {
    const cases: readonly (readonly [Partial<ElectionView>, RegExp])[] = [
      [{ mesh: "off" }, /nodeToNodeMeshEnabled is false/],
      [{ mesh: "marked" }, /switched the mesh on.*tortie.dev\/mesh-off/],
      [{ peer: "foreign" }, /BGPPeer of the name tortie-elected-reflectors/],
      [{ nodes: [...four, node(5, { isForeign: true })] }, /made n5 a route reflector/],
      [{ nodes: [...four, node(5, { asn: 65000 as Asn })] }, /n5 is in AS 65000, n1 in AS 64512/],
      [{ problem: "not readable" }, /not readable/],
      [{ nodes: four.map((each) => ({ ...each, isLeaving: true })) }, /no node can be/],
    ];
    for (const [more, reason] of cases) {
      const plan = electionPlan(view(more), times({}));
      assert.deepEqual([plan.phase, plan.actions], ["blocked", []]);
      assert.match(plan.reason, reason);
    }
    const unasked = { settings: undefined, peer: "absent" } as const;
    assert.equal(electionPlan(view({ ...unasked, mesh: "off" }), times({})).phase, "off");
  });

  test("is no less safe while something is in the way", () => {
    const nodes = [...withFirst, node(5, { isForeign: true })];
    const dead = times({ n1: { ...well, isAlive: false } });
    const plan = electionPlan(view({ mesh: "off by us", nodes, problem: "not readable" }), dead);
    assert.deepEqual(kinds(plan), ["meshOn"]);
  });
});
