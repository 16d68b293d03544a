import { strict as assert } from "node:assert";
import { test } from "node:test";
import type { AnyResource } from "../../../../src/api/resource-of-kind.ts";
import { node, pool } from "../../../states/resources.ts";
import { FelixState } from "../../../support/felix-state.ts";

const crossSubnet = pool("default", "10.0.0.0/16", { vxlanMode: "CrossSubnet" });

/** What was told of nodes whose subnets do not agree, in the log. */
function told({ logged }: FelixState): string[][] {
  return logged
    .split("\n")
    .filter((line) => line.includes("subnets of nodes do not agree"))
    .map((line) => (JSON.parse(line) as { nodes: string[] }).nodes);
}

async function nodeOf(...resources: readonly AnyResource[]): Promise<FelixState> {
  const state = new FelixState({}, [node("node-a", "192.168.1.11/24"), ...resources]);
  await state.apply();
  return state;
}

test("masks that agree are no matter, nor are different ones that make the same answer", async () => {
  const state = await nodeOf(
    crossSubnet,
    node("node-b", "192.168.1.12/24"),
    node("node-c", "192.168.2.13/24"),
    node("node-d", "192.168.1.14/25"),
  );
  assert.deepEqual(told(state), []);
});

test("a node that thinks otherwise of what is one subnet is told once, and again when it changes", async () => {
  const wide = node("node-b", "192.168.2.12/16");
  const narrow = node("node-c", "192.168.1.13/30");
  const state = await nodeOf(crossSubnet, wide, narrow);
  assert.deepEqual(told(state), [["node-b 192.168.2.12/16", "node-c 192.168.1.13/30"]]);
  state.update(node("node-d", "192.168.9.9/24"));
  await state.apply();
  assert.equal(told(state).length, 1);
  state.update(node("node-b", "192.168.2.12/24"));
  await state.apply();
  assert.deepEqual(told(state)[1], ["node-c 192.168.1.13/30"]);
});

test("without CrossSubnet masks do not matter", async () => {
  const always = pool("default", "10.0.0.0/16", { vxlanMode: "Always" });
  const state = await nodeOf(always, node("node-b", "192.168.2.12/16"));
  assert.deepEqual(told(state), []);
});
