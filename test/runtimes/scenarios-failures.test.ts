import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { Cluster, type ClusterNode, type RunningPod } from "../support/runtimes/cluster.ts";
import { waitFor } from "../support/wait-for.ts";
import {
  leakGracePeriod,
  lostWhile,
  meshEnabled,
  meshIsUp,
  untilNothingLeaks,
  untilReached,
} from "./cluster-checks.ts";

/**
 * Acceptance scenarios of facts appendix E, by their numbers, in a real cluster: what fails, what is
 * killed, and changes of the network under traffic.
 */

const found = findKubeApiServer();
const program = "path" in found ? found.path : "";

describe("in a cluster", { skip: "missing" in found ? found.missing : false }, () => {
  let cluster: Cluster;
  /** One on each node. */
  let pods: readonly RunningPod[];

  before(async () => {
    cluster = await Cluster.start(program, { nodes: 3 });
    cluster.startControllers();
    pods = await Promise.all(
      cluster.nodes.map(({ name }) => cluster.runPod(`on-${name}`, { node: name })),
    );
    await meshIsUp(cluster);
  });
  after(async () => {
    await cluster?.remove();
  });

  const firstTwo = () => [podOn(1), podOn(2)] as const;
  const podOn = (number: number) => pods[number - 1] ?? assert.fail(`no pod on node ${number}`);

  it("2: kills of the agent while pods come and go lose no packet and leave no route", async () => {
    const node = cluster.node(1);
    const lost = await lostWhile(firstTwo(), async () => {
      const enough = new AbortController();
      const churn = Array.from({ length: 6 }, async (_, worker) => {
        for (let round = 0; !enough.signal.aborted; round++) {
          const name = `churn${worker}-${round}`;
          await cluster.deletePod(await cluster.runPod(name));
        }
      });
      for (let kill = 0; kill < 3; kill++) {
        await waitFor(async () => (await node.veths()).length > 2, { what: "pods" });
        await node.stopTortie(0);
        node.startTortie();
        await node.ready();
      }
      enough.abort();
      await Promise.all(churn);
    });
    assert.deepEqual(lost, []);
    await untilOneIsLeft(node);
    const routes = await node.must("ip", "route", "show");
    assert.deepEqual(routes.match(/dev cali\S+/g)?.length, 1, routes);
    await untilNothingLeaks(cluster);
  });

  it("12: a node with another's address does not start, and says whose it is", async () => {
    const node = cluster.node(3);
    const { address } = cluster.node(1);
    await node.stopTortie();
    const words = `Cannot use ${address} as the address of node node3: node node1 has it`;
    node.startTortie({ IP: address });
    await waitFor(() => node.log().includes(words), { what: "the refusal" });
    await waitFor(() => node.processes.node === undefined, { what: "its end" });
    node.startTortie();
    await node.ready();
    await meshIsUp(cluster);
  });

  it("14: without the API server packets flow, new pods fail with words, and all recovers", async () => {
    const node = cluster.node(1);
    const lost = await lostWhile(firstTwo(), async () => {
      await cluster.server.stop();
      await assert.rejects(
        node.containerd.cri.runPod({ name: "too-early" }),
        /plugin type="calico" failed \(add\): .*(not ready|[Cc]annot)/,
      );
      await node.stopTortie(0);
      node.startTortie();
      await cluster.server.start();
      await node.ready();
      const late = await cluster.runPod("late");
      await untilReached(late, podOn(2).address);
      await cluster.deletePod(late);
    });
    assert.deepEqual(lost, []);
    const sandboxes = await node.containerd.cri.sandboxes();
    const left = sandboxes.filter(({ id }) => id !== podOn(1).sandbox);
    await Promise.all(left.map(({ id }) => node.containerd.cri.removeSandbox(id)));
    await untilOneIsLeft(node);
  });

  it("23: a service's address follows its endpoints from node to node", async () => {
    await leakGracePeriod(cluster, "15m");
    await cluster.apply(`
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: services}
spec: {cidr: 198.51.100.0/24, allowedUses: [LoadBalancer], assignmentMode: Automatic, nodeSelector: all()}
---${meshEnabled(true, ", serviceLoadBalancerIPs: [{cidr: 198.51.100.0/24}]")}`);
    const services = "/api/v1/namespaces/default/services";
    await cluster.server.must("POST", services, {
      metadata: { name: "balanced" },
      spec: { type: "LoadBalancer", externalTrafficPolicy: "Local", ports: [{ port: 80 }] },
    });
    const address = await waitFor(
      async () => {
        const { status } = (await cluster.server.must("GET", `${services}/balanced`)) as {
          status: { loadBalancer?: { ingress?: { ip: string }[] } };
        };
        return status.loadBalancer?.ingress?.[0]?.ip;
      },
      { timeoutMs: 60_000, what: "an address of the service" },
    );
    const endpointsOn = (number: number) => [
      {
        addresses: [podOn(number).address],
        nodeName: `node${number}`,
        conditions: { ready: true },
      },
    ];
    const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    await cluster.server.must("POST", slices, {
      metadata: { name: "balanced-1", labels: { "kubernetes.io/service-name": "balanced" } },
      addressType: "IPv4",
      ports: [{ port: 80 }],
      endpoints: endpointsOn(1),
    });
    const told = () => cluster.node(3).paths(`${address}/32`);
    // Nodes themselves reach services by kube-proxy: the route is for others.
    const via = (number: number) =>
      waitFor(async () => (await told()).includes(` ${cluster.node(number).address} `), {
        timeoutMs: 60_000,
        what: `${address} by node ${number}`,
      });
    await via(1);
    const type = "application/merge-patch+json";
    await cluster.server.must("PATCH", `${slices}/balanced-1`, { endpoints: endpointsOn(2) }, type);
    await via(2);
    await cluster.server.must("DELETE", `${services}/balanced`);
    await cluster.server.must("DELETE", `${slices}/balanced-1`);
    await waitFor(async () => !(await told()).includes(address), {
      timeoutMs: 60_000,
      what: "the route's end",
    });
  });

  it("a pod deleted by force while its node is down leaves no address", async () => {
    const node = cluster.node(3);
    const lonely = await cluster.runPod("lonely", { node: node.name });
    await node.crash();
    await cluster.deletePod(lonely, "by force");
    await leakGracePeriod(cluster, "2s");
    await waitFor(
      async () => {
        const { stdout } = await cluster.cli(["ipam", "show", `--ip=${lonely.address}`]);
        return /is not (assigned|in use)/.test(stdout);
      },
      { timeoutMs: 120_000, intervalMs: 500, what: "the address" },
    );
    await leakGracePeriod(cluster, "15m");
  });

  it("4: a node that was rebooted tells its routes again, and its pods are reached", async () => {
    const node = cluster.node(3);
    await node.reboot();
    await meshIsUp(cluster);
    const again = await podAgain(node, podOn(3));
    pods = [podOn(1), podOn(2), again];
    await untilReached(podOn(1), again.address);
    await untilReached(again, podOn(2).address);
  });

  it("3: what a node that is deleted had is free, and nobody has a route to it", async () => {
    const node = cluster.node(3);
    const block = /^(10\.244\.\S+) via 192\.168\.1\.13 /m;
    assert.match(await cluster.node(1).must("ip", "route"), block);
    await node.crash();
    await cluster.server.must("DELETE", "/api/v1/nodes/node3");
    // As kube-controller-manager's garbage collection of pods.
    await cluster.deletePod(podOn(3), "by force");
    await leakGracePeriod(cluster, "2s");
    const affinities = "/apis/crd.projectcalico.org/v1/blockaffinities";
    await waitFor(
      async () => {
        const { items } = (await cluster.server.must("GET", affinities)) as {
          items: { spec: { node: string } }[];
        };
        return items.every(({ spec }) => spec.node !== node.name);
      },
      { timeoutMs: 300_000, intervalMs: 500, what: "an end of its affinities" },
    );
    await untilNothingLeaks(cluster);
    await waitFor(async () => !block.test(await cluster.node(1).must("ip", "route")), {
      timeoutMs: 120_000,
      what: "an end of its routes",
    });
  });

  it("5: pods reach each other again soon after the pool's encapsulation changed", async (t) => {
    const shown = await cluster.cli(["get", "ippool", "default-ipv4-ippool", "-o", "json"]);
    const { spec, ...pool } = JSON.parse(shown.stdout) as { spec: object };
    // Without the version of what was read: more than one change is made.
    const metadata = { name: "default-ipv4-ippool" };
    const [first, second] = [cluster.node(1), cluster.node(2)];
    const mtus = () => [first, second].map(({ mtuFile }) => readFileSync(mtuFile, "utf8").trim());
    assert.deepEqual(mtus(), ["1500", "1500"]);
    const changeTo = (vxlanMode: string) =>
      cluster.apply(JSON.stringify({ ...pool, metadata, spec: { ...spec, vxlanMode } }));
    for (const [mode, mtu, route] of [
      ["Always", "1450", /dev vxlan\.calico/],
      ["CrossSubnet", "1450", /via 192\.168\.1\.12 dev eth0/],
    ] as const) {
      const lost = await lostWhile(firstTwo(), async () => {
        await changeTo(mode);
        const { address } = podOn(2);
        const isRouted = async () => route.test(await first.must("ip", "route", "get", address));
        await waitFor(isRouted, { timeoutMs: 60_000, what: `routes of ${mode}` });
        await waitFor(() => mtus().every((text) => text === mtu), { what: "the MTU file" });
      });
      t.diagnostic(`${mode}: ${lost.length * 10} ms without answers`);
      assert.ok(lost.length < 1000, `${mode}: ${lost.length} of a ping every 10 ms`);
    }
  });

  /** Deletions that no agent was there for are done later. */
  async function untilOneIsLeft(node: ClusterNode): Promise<void> {
    await waitFor(async () => (await node.veths()).length === 1, {
      timeoutMs: 60_000,
      what: `an end of the other pods' interfaces on ${node.name}`,
    });
  }

  /** What kubelet makes of the same Pod object after its node's reboot. */
  async function podAgain(node: ClusterNode, pod: RunningPod): Promise<RunningPod> {
    const path = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`;
    const { metadata } = (await cluster.server.must("GET", path)) as { metadata: { uid: string } };
    const now = await waitFor(() => node.kubelet.podOf(metadata.uid), {
      timeoutMs: 60_000,
      what: `pod ${pod.name} again`,
    });
    return { ...pod, ...now, address: now.addresses[0] ?? "" };
  }
});
