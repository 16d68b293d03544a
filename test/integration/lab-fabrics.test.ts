import assert from "node:assert/strict";
import { test } from "node:test";
import { TestLab } from "../support/lab.ts";

/** The other ways to bring a lab up: each must end with everybody reaching everybody. */

const ways: readonly [what: string, ...args: string[]][] = [
  ["VXLAN always", "--encapsulation", "VXLAN", "--nodes", "2", "--segments", "1", "--pods", "1"],
  ["a fabric that speaks BGP", "--encapsulation", "None", "--fabric", "bgp", "--pods", "1"],
  ["etcd", "--datastore", "etcdv3", "--nodes", "2", "--pods", "1"],
];

for (const [index, [what, ...args]] of ways.entries()) {
  test(`a lab with ${what} comes up, and all reach all`, async () => {
    const lab = new TestLab(`f${index}`);
    try {
      await lab.mustLab("up", ...args);
      const { flows, mismatches } = await lab.check();
      assert.deepEqual(mismatches, []);
      assert.ok(flows.length > 0);
      const shown = await lab.cli(["get", "node"]);
      assert.match(shown.stdout, /node1/);
      if (args.includes("bgp")) {
        const { router, nodes } = await lab.status();
        const routes = await lab.inside(router, "ip", "route");
        for (const { blocks } of nodes) assert.match(routes, new RegExp(`^${blocks[0]} via`, "m"));
      }
    } finally {
      await lab.down();
    }
  });
}

test("lab up refuses what cannot work, with the reason, and builds nothing", async () => {
  const lab = new TestLab("r");
  try {
    const refused = await lab.lab("up", "--encapsulation", "None");
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--fabric bgp/);
    assert.equal((await lab.lab("status")).code, 2);
    const unknown = await lab.lab("up", "--colour", "red");
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /--colour/);
  } finally {
    await lab.down();
  }
});
