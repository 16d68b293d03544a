import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { makeNamespacePair, type NamespacePair } from "../support/bird.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { waitFor } from "../support/wait-for.ts";
import {
  type BgpNode,
  birdRoutes,
  established,
  openTestStore,
  startBgpNode,
  type TestStore,
  tortie,
} from "./bgp-node.ts";

const run = promisify(execFile);
const skip = process.getuid?.() === 0 ? false : "network namespaces need root";

describe("two nodes with tortie bgp", { skip }, () => {
  let pair: NamespacePair;
  let store: TestStore;
  let a: BgpNode;
  let b: BgpNode;

  before(async () => {
    store = await openTestStore();
    pair = await makeNamespacePair("bgp");
    await store.create("IPPool", "pool4", { cidr: "10.244.0.0/16" });
    await store.create("IPPool", "pool6", { cidr: "fd00:10::/64" });
    for (const [name, host, netns] of [
      ["a", 1, pair.a],
      ["b", 2, pair.b],
    ] as const) {
      await store.create("Node", name, {
        bgp: { ipv4Address: `10.99.0.${host}/24`, ipv6Address: `fd99::${host}/64` },
      });
      for (const cidr of [`10.244.${host}.0/26`, `fd00:10::${host}:0/122`]) {
        const affinity = { node: name, cidr, state: "confirmed", type: "host" } as const;
        await store.create("BlockAffinity", `${name}-${cidr.replaceAll(/[:./]/g, "-")}`, affinity);
      }
      // Stands for a pod of the block.
      await run("ip", ["-n", netns, "addr", "add", `10.244.${host}.5/32`, "dev", "lo"]);
    }
    a = startBgpNode("a", pair.a, store);
    b = startBgpNode("b", pair.b, store);
    await established(a, 2);
    await established(b, 2);
  });

  after(async () => {
    await a?.kill("SIGKILL");
    await b?.kill("SIGKILL");
    await pair?.remove();
    await store?.close();
  });

  test("both kernels have the other's block as a route of protocol bird", async () => {
    await waitFor(async () => (await a.routes()).length === 2, { what: "routes of a" });
    await waitFor(async () => (await b.routes()).length === 2, { what: "routes of b" });
    assert.deepEqual(await a.routes(), [
      "10.244.2.0/26 via 10.99.0.2 dev eth0 metric 1024",
      "blackhole 10.244.1.0/26 metric 1024",
    ]);
    assert.deepEqual(await b.routes(), [
      "10.244.1.0/26 via 10.99.0.1 dev eth0 metric 1024",
      "blackhole 10.244.2.0/26 metric 1024",
    ]);
    await waitFor(async () => (await a.routes(6)).length === 2, { what: "IPv6 routes of a" });
    const [own = "", learned = ""] = await a.routes(6);
    assert.match(learned, /^fd00:10::2:0\/122 via fd99::2 dev eth0 metric 1024/);
    assert.match(own, /^blackhole fd00:10::1:0\/122 dev lo metric 1024/);
  });

  test("the status socket tells of sessions and why a path is the best, to its owner only", async () => {
    const status = await a.status();
    assert.deepEqual(
      status.peers.map(({ name, state, type }) => [name, state, type]),
      [
        ["Mesh_10_99_0_2", "Established", "NodeMesh"],
        ["Mesh_fd99__2", "Established", "NodeMesh"],
      ],
    );
    assert.deepEqual([status.asn, status.converged], [64512, true]);
    const rib = (await a.ask("rib 10.244.2.0/26")) as { paths: { verdict: string }[] };
    assert.deepEqual(
      rib.paths.map(({ verdict }) => verdict),
      ["best"],
    );
    assert.match(JSON.stringify(await a.ask("what")), /Cannot answer/);
    assert.equal(statSync(join(store.folder, "a", "bgp.sock")).mode & 0o777, 0o600);
  });

  test("a route that somebody deletes or adds is repaired", async () => {
    await run("ip", ["-n", pair.a, "route", "del", "10.244.2.0/26", "proto", "bird"]);
    await run("ip", ["-n", pair.a, ..."route add blackhole 10.244.9.0/26 proto bird".split(" ")]);
    const isRepaired = async () => {
      const routes = (await a.routes()).join();
      return routes.includes("10.244.2.0/26") && !routes.includes("10.244.9.0/26");
    };
    await waitFor(isRepaired, { what: "repair" });
  });

  test("nothing changes in the kernel while nothing changes elsewhere", async () => {
    const monitor = spawn("ip", ["-n", pair.a, "monitor", "route"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let events = "";
    monitor.stdout.on("data", (chunk) => {
      events += chunk;
    });
    try {
      // The same route twice would be no event: the monitor may come after the first.
      const isHeard = async () => {
        for (const verb of ["add", "del"]) {
          const probe = `route ${verb} 203.0.113.1/32 via 10.99.0.2`.split(" ");
          await run("ip", ["-n", pair.a, ...probe]);
        }
        return events.includes("203.0.113.1");
      };
      await waitFor(isHeard, { what: "the monitor" });
      await new Promise((resolve) => setTimeout(resolve, 1500));
      assert.deepEqual(
        events.split("\n").filter((line) => line.includes("proto bird")),
        [],
      );
    } finally {
      monitor.kill();
    }
  });

  test("killing it twice within ten seconds loses no packet", async () => {
    const ping = new SteadyPing("b to a", pair.b, "-I", "10.244.2.5", "10.244.1.5");
    await ping.answers();
    for (let kill = 0; kill < 2; kill++) {
      await a.kill("SIGKILL");
      a = startBgpNode("a", pair.a, store);
      await established(a, 2);
    }
    assert.deepEqual(await ping.lost(), []);
    assert.equal((await birdRoutes(pair.b, 4)).length, 2);
  });

  test("a clean stop leaves the kernel's routes, and the peer keeps its own", async () => {
    await a.kill("SIGTERM");
    await waitFor(async () => (await b.status()).peers.every((p) => p.state !== "Established"));
    assert.equal((await birdRoutes(pair.a, 4)).length, 2);
    assert.equal((await birdRoutes(pair.b, 4)).length, 2);
    a = startBgpNode("a", pair.a, store);
    await established(a, 2);
  });

  test("a node that is drained says so after a restart too, and withdraws a block without workload", async () => {
    const endpoint = {
      ...{ orchestrator: "k8s", node: "a", pod: "web", endpoint: "eth0" },
      ...{ ipNetworks: ["10.244.1.5/32"], interfaceName: "cali1" },
    };
    await store.create("WorkloadEndpoint", "a-k8s-web-eth0", endpoint, "default");
    assert.match(await tortie(store, "node", "drain", "a"), /is drained/);
    const isDrained = async () => {
      const { paths } = (await b.ask("rib 10.244.1.0/26")) as { paths: { localPref: number }[] };
      return paths[0]?.localPref === 0;
    };
    await waitFor(isDrained, { what: "GRACEFUL_SHUTDOWN" });
    await a.kill("SIGKILL");
    a = startBgpNode("a", pair.a, store);
    await established(a, 2);
    assert.ok(await isDrained());
    await store.datastore.delete({
      kind: "WorkloadEndpoint",
      name: "a-k8s-web-eth0",
      namespace: "default",
    });
    await waitFor(async () => (await b.routes()).length === 1, { what: "withdrawal" });
    assert.match(await tortie(store, "node", "drain", "a", "--undo"), /not drained any more/);
    await waitFor(async () => (await b.routes()).length === 2, { what: "the block again" });
    assert.equal(await isDrained(), false);
  });

  test("a block that is released while it is down goes when it is back", async () => {
    await a.kill("SIGTERM");
    const { items } = await store.datastore.list("BlockAffinity");
    const own = items.find(({ spec }) => spec.cidr === "10.244.1.0/26");
    assert.ok(own !== undefined);
    await store.datastore.delete({ kind: "BlockAffinity", name: own.metadata.name });
    a = startBgpNode("a", pair.a, store);
    await established(a, 2);
    await waitFor(async () => (await b.routes()).length === 1, { what: "withdrawal" });
    await waitFor(async () => !(await a.routes()).join().includes("blackhole"));
  });

  test("without the mesh the sessions end and their routes go", async () => {
    await store.create("BGPConfiguration", "default", { nodeToNodeMeshEnabled: false });
    await waitFor(async () => (await a.status()).peers.length === 0, { what: "no sessions" });
    await waitFor(async () => (await b.routes()).join() === "blackhole 10.244.2.0/26 metric 1024");
    await waitFor(async () => (await a.routes()).length === 0, { what: "no routes of a" });
  });
});
