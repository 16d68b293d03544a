import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  type BgpNode,
  birdRoutes,
  established,
  openTestStore,
  startBgpNode,
  type TestStore,
} from "../integration/bgp-node.ts";
import {
  type Bird,
  cannotRunBird,
  makeNamespacePair,
  type NamespacePair,
  startBird,
} from "../support/bird.ts";
import { waitFor } from "../support/wait-for.ts";

/** BIRD as a calico-node of AS `asn` with one block, in the second namespace. */
function birdConfig(asn: number): string {
  return `router id 10.99.0.2;
protocol device {}
protocol direct { ipv4; ipv6; }
protocol static { ipv4; route 10.244.2.0/26 blackhole; }
protocol kernel { persist; merge paths on; ipv4 { import none; export all; }; }
protocol bgp tortie {
  local 10.99.0.2 as ${asn};
  neighbor 10.99.0.1 as 64512;
  multihop;
  graceful restart on;
  graceful restart time 120;
  connect retry time 1;
  error wait time 1, 2;
  ipv4 { import all; export where source = RTS_STATIC; };
}
`;
}

for (const [title, asn] of [
  ["a node of the mesh", 64512],
  ["a router of another AS", 64999],
] as const) {
  describe(`tortie bgp with BIRD as ${title}`, { skip: cannotRunBird() }, () => {
    let pair: NamespacePair;
    let store: TestStore;
    let node: BgpNode;
    let bird: Bird;

    before(async () => {
      store = await openTestStore();
      pair = await makeNamespacePair(`sb${asn}`);
      await store.create("IPPool", "pool", { cidr: "10.244.0.0/16" });
      await store.create("Node", "a", { bgp: { ipv4Address: "10.99.0.1/24" } });
      await store.create("BlockAffinity", "a-10-244-1-0-26", {
        node: "a",
        cidr: "10.244.1.0/26",
        state: "confirmed",
      });
      if (asn === 64512) {
        await store.create("Node", "b", { bgp: { ipv4Address: "10.99.0.2/24" } });
      } else {
        await store.create("BGPPeer", "tor", { peerIP: "10.99.0.2", asNumber: asn });
      }
      bird = await startBird(pair.b, birdConfig(asn));
      node = startBgpNode("a", pair.a, store);
      await established(node, 1);
    });

    after(async () => {
      await node?.kill("SIGKILL");
      await bird?.stop();
      await pair?.remove();
      await store?.close();
    });

    test("both kernels have the other's block", async () => {
      const learned = "10.244.2.0/26 via 10.99.0.2 dev eth0 metric 1024";
      await waitFor(async () => (await node.routes()).includes(learned), { what: "route of a" });
      const theirs = await waitFor(
        async () => (await birdRoutes(pair.b, 4)).find((line) => line.startsWith("10.244.1.0/26")),
        { what: "route of BIRD" },
      );
      assert.match(theirs, /^10\.244\.1\.0\/26 via 10\.99\.0\.1 dev eth0/);
    });

    test("BIRD sees the attributes that a calico-node would send", async () => {
      const route = await bird.query("show route 10.244.1.0/26 all");
      assert.match(route, /BGP\.origin: IGP/);
      assert.match(route, /BGP\.next_hop: 10\.99\.0\.1/);
      if (asn === 64512) assert.match(route, /BGP\.local_pref: 2147482623/);
      else assert.match(route, /BGP\.as_path: 64512/);
    });

    test("BIRD keeps the route while tortie bgp restarts", async () => {
      await node.kill("SIGKILL");
      await waitFor(
        async () => !(await bird.query("show protocols all tortie")).includes("Established"),
        { what: "loss of the session" },
      );
      assert.match(await bird.query("show route 10.244.1.0/26"), /10\.244\.1\.0\/26/);
      assert.match((await birdRoutes(pair.b, 4)).join(), /10\.244\.1\.0\/26/);
      node = startBgpNode("a", pair.a, store);
      await established(node, 1);
      assert.match((await birdRoutes(pair.b, 4)).join(), /10\.244\.1\.0\/26/);
      assert.match((await node.routes()).join(), /10\.244\.2\.0\/26/);
    });

    test("a block that goes is withdrawn", async () => {
      await store.datastore.delete({ kind: "BlockAffinity", name: "a-10-244-1-0-26" });
      await waitFor(async () => !(await birdRoutes(pair.b, 4)).join().includes("10.244.1.0/26"));
    });
  });
}
