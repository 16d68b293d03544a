import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bodies, dispatchRoot, leadAlike } from "../../../src/takeover/dispatch-tree.ts";

const root = "cali-from-wl-dispatch";
const bodies = (chains: Readonly<Record<string, readonly string[]>>): Bodies =>
  new Map(Object.entries(chains));
const drop = '-m comment --comment "Unknown interface" -j DROP';

const flat = bodies({
  [root]: ["-i cali1a -g cali-fw-cali1a", "-i cali2b -g cali-fw-cali2b", drop],
});

test("leadAlike: a tree with child chains leads as a list does", () => {
  const tree = {
    [root]: [
      "--in-interface cali1+ --goto cali-from-wl-dispatch-1",
      "-i cali2b -g cali-fw-cali2b",
      drop,
    ],
    [`${root}-1`]: ["-i cali1a -g cali-fw-cali1a", drop],
  };
  assert.ok(leadAlike(root, flat, bodies(tree)));
  assert.ok(leadAlike(root, bodies(tree), flat));
});

test("leadAlike: another chain, an interface less, another end or another match lead elsewhere", () => {
  for (const rules of [
    ["-i cali1a -g cali-fw-cali2b", "-i cali2b -g cali-fw-cali2b", drop],
    ["-i cali1a -g cali-fw-cali1a", drop],
    ["-i cali1a -g cali-fw-cali1a", "-i cali2b -g cali-fw-cali2b"],
    ["-i cali1a -g cali-fw-cali1a", "-i cali2b -g cali-fw-cali2b", "-j ACCEPT"],
    ["-j ACCEPT", "-i cali1a -g cali-fw-cali1a", "-i cali2b -g cali-fw-cali2b", drop],
    ["-o cali1a -g cali-fw-cali1a", "-o cali2b -g cali-fw-cali2b", drop],
    ["-i cali1a -g cali-fw-cali1a", "-o cali2b -g cali-fw-cali2b", drop],
    ["-i cali1a -s 10.0.0.1 -g cali-fw-cali1a", "-i cali2b -g cali-fw-cali2b", drop],
    ["-i cali1+ -j ACCEPT", "-i cali1a -g cali-fw-cali1a", "-i cali2b -g cali-fw-cali2b", drop],
  ]) {
    assert.ok(!leadAlike(root, flat, bodies({ [root]: rules })), rules.join("; "));
  }
  const loose = {
    [root]: ["-i cali1+ -g cali-from-wl-dispatch-1", "-i cali2b -g cali-fw-cali2b", drop],
    [`${root}-1`]: ["-i cali1a -g cali-fw-cali1a"],
  };
  assert.ok(!leadAlike(root, flat, bodies(loose)));
  const unreached = {
    [root]: ["-i cali9+ -g cali-from-wl-dispatch-1", "-i cali2b -g cali-fw-cali2b", drop],
    [`${root}-1`]: ["-i cali1a -g cali-fw-cali1a", drop],
  };
  assert.ok(!leadAlike(root, flat, bodies(unreached)));
});

test("dispatchRoot: of trees and of nothing else", () => {
  assert.equal(dispatchRoot(root), root);
  assert.equal(dispatchRoot(`${root}-1`), root);
  assert.equal(dispatchRoot("cali-fw-cali1a"), undefined);
});
