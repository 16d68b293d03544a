import assert from "node:assert/strict";
import { test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { ipFamily, parseIpAddr } from "../../src/lib/ip-addr.ts";
import { TestLab } from "../support/lab.ts";

/** The other ways to bring a lab up: each must end with everybody reaching everybody. */

const ways: readonly [what: string, families: readonly (4 | 6)[], ...args: string[]][] = [
  [
    "VXLAN always, without IPv4",
    [6],
    ...["--encapsulation", "VXLAN", "--ip-family", "ipv6"],
    ...["--nodes", "2", "--segments", "1", "--pods", "1"],
  ],
  [
    "a fabric that speaks BGP, of both families",
    [4, 6],
    ...["--encapsulation", "None", "--fabric", "bgp", "--ip-family", "dual", "--pods", "1"],
  ],
  ["etcd", [4], "--datastore", "etcdv3", "--nodes", "2", "--pods", "1"],
];

for (const [index, [what, families, ...args]] of ways.entries()) {
  test(`a lab with ${what} comes up, and all reach all`, async () => {
    const lab = new TestLab(`f${index}`);
    try {
      await lab.mustLab("up", ...args);
      const { router, nodes, pods } = await lab.status();
      for (const { addresses } of [...nodes, ...pods]) {
        assert.deepEqual(addresses.map(parseIpAddr).map(ipFamily), families);
      }
      const { flows, mismatches } = await lab.check();
      assert.deepEqual(mismatches, []);
      const pairs = pods.length * (nodes.length + pods.length - 1);
      assert.equal(flows.length, pairs * families.length * ["ICMP", "TCP", "UDP"].length);
      const shown = await lab.cli(["get", "node"]);
      assert.match(shown.stdout, /node1/);
      if (args.includes("bgp")) {
        const list = (family: number) => lab.inside(router, "ip", `-${family}`, "route");
        const routes = (await Promise.all(families.map(list))).join("");
        for (const block of nodes.flatMap(({ blocks }) => blocks)) {
          assert.match(routes, new RegExp(`^${block} via`, "m"));
        }
      }
      if (families.includes(6)) await assertAtOnce(lab, nodes);
      if (!families.includes(4)) {
        for (const { netns } of [...nodes, ...pods]) {
          const own = await lab.inside(
            netns,
            "ip",
            "-4",
            "-o",
            "address",
            "show",
            "scope",
            "global",
          );
          assert.equal(own, "");
        }
      }
    } finally {
      await lab.down();
    }
  });
}

/** What packets need at once is not held up by duplicate address detection. */
async function assertAtOnce(lab: TestLab, nodes: LabStatus["nodes"]): Promise<void> {
  for (const { netns } of nodes) {
    const links = await lab.inside(netns, "ip", "-6", "-o", "address", "show", "scope", "link");
    const gateways = links.split("\n").filter((line) => /^\d+: cali/.test(line));
    assert.ok(gateways.length > 0, netns);
    for (const line of gateways) assert.match(line, /fe80::ecee:eeff:feee:eeee\/64 .*nodad/);
    const tunnels = await lab.inside(netns, "ip", "-6", "-o", "address", "show", "scope", "global");
    for (const line of tunnels.split("\n").filter((text) => text.includes("vxlan"))) {
      assert.match(line, /\/128 .*nodad/);
    }
  }
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
