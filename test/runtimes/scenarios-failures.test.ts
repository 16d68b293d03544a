import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { Background } from "../support/lab.ts";
import { Cluster, type ClusterNode, type RunningPod } from "../support/runtimes/cluster.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { waitFor } from "../support/wait-for.ts";

/**
 * Acceptance scenarios of facts appendix E, by their numbers, in a real cluster: what fails, what is
 * killed, and changes of the network under traffic.
 */

const found = findKubeApiServer();
const program = "path" in found ? found.path : "";

describe("in a cluster", { skip: "missing" in found ? found.missing : false }, () => {
  const secrets = mkdtempSync(join(tmpdir(), "tt-secrets-"));
  let cluster: Cluster;
  /** One on each node. */
  let pods: readonly RunningPod[];

  before(async () => {
    cluster = await Cluster.start(program, { nodes: 3, env: { TORTIE_SECRETS_PATH: secrets } });
    cluster.startControllers();
    pods = await Promise.all(
      cluster.nodes.map(({ name }) => cluster.runPod(`on-${name}`, { node: name })),
    );
    await meshIsUp();
  });
  after(async () => {
    await cluster?.remove();
    rmSync(secrets, { recursive: true });
  });

  const podOn = (number: number) => pods[number - 1] ?? assert.fail(`no pod on node ${number}`);

  /** Each node's sessions are Established, and with these nodes. */
  async function sessionsAre(wanted: readonly (readonly number[])[]): Promise<void> {
    await waitFor(
      async () => {
        const states = await Promise.all(cluster.nodes.map((node) => node.sessions()));
        return states.every((sessions, index) => {
          const addresses = sessions.map(({ address }) => address).sort();
          const peers = wanted[index]?.map((number) => cluster.node(number).address) ?? [];
          return (
            addresses.join() === peers.join() &&
            sessions.every(({ state }) => state === "Established")
          );
        });
      },
      { timeoutMs: 120_000, intervalMs: 200, what: "the sessions" },
    );
  }

  const meshIsUp = () =>
    sessionsAre([
      [2, 3],
      [1, 3],
      [1, 2],
    ]);

  /** Pings from node 1's pod to node 2's while `act` runs. @returns how many went unanswered. */
  async function lostWhile(act: () => Promise<void>): Promise<readonly number[]> {
    const ping = new SteadyPing("node1 to node2", podOn(1).netns, podOn(2).address);
    try {
      await ping.answers();
      await act();
    } catch (error) {
      await ping.stop();
      throw error;
    }
    return await ping.lost();
  }

  const reaches = async (from: RunningPod, address: string) =>
    (await from.node.containerd.cri.exec(from, "ping", "-c", "1", "-W", "2", address)).code === 0;

  const untilReached = (from: RunningPod, address: string) =>
    waitFor(() => reaches(from, address), {
      timeoutMs: 60_000,
      what: `an answer of ${address} to ${from.name}`,
    });

  /** Leaks are given back from now on, or after Calico's quarter of an hour again. */
  const leakGracePeriod = (grace: string) =>
    cluster.apply(`
apiVersion: projectcalico.org/v3
kind: KubeControllersConfiguration
metadata: {name: default}
spec: {controllers: {node: {leakGracePeriod: ${grace}}, loadBalancer: {assignIPs: AllServices}}}
`);

  const nothingIsWrong = () =>
    waitFor(async () => (await cluster.cli(["ipam", "check"])).code === 0, {
      timeoutMs: 120_000,
      intervalMs: 500,
      what: "an end of all leaks",
    });

  it("2: kills of the agent while pods come and go lose no packet and leave no route", async () => {
    const node = cluster.node(1);
    const lost = await lostWhile(async () => {
      let done = false;
      const churn = Array.from({ length: 6 }, async (_, worker) => {
        for (let round = 0; !done; round++) {
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
      done = true;
      await Promise.all(churn);
    });
    assert.deepEqual(lost, []);
    assert.equal((await node.veths()).length, 1);
    const routes = await node.must("ip", "route", "show");
    assert.deepEqual(routes.match(/dev cali\S+/g)?.length, 1, routes);
    await leakGracePeriod("2s");
    await nothingIsWrong();
    await leakGracePeriod("15m");
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
    await meshIsUp();
  });

  it("14: without the API server packets flow, new pods fail with words, and all recovers", async () => {
    const node = cluster.node(1);
    const lost = await lostWhile(async () => {
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
    assert.equal((await node.veths()).length, 1);
  });

  it("15: an API server that forgets what was watched, again and again, withdraws no route", async () => {
    const routes = new Background(cluster.node(1).netns, "ip", "monitor", "route");
    const lost = await lostWhile(async () => {
      for (let storm = 1; storm <= 3; storm++) {
        await cluster.createNamespace(`storm-${storm}`);
        const list = await cluster.server.must("GET", "/api/v1/namespaces?limit=1");
        const { resourceVersion } = (list as { metadata: { resourceVersion: string } }).metadata;
        await cluster.server.etcd.compact(resourceVersion);
        await cluster.server.stop();
        await cluster.server.start();
      }
      // What was made meanwhile is known.
      const pod = await cluster.runPod("after-storms", { namespace: "storm-2" });
      await untilReached(pod, podOn(2).address);
      await cluster.deletePod(pod);
    });
    await routes.stop();
    assert.deepEqual(lost, []);
    const { address } = podOn(2);
    const blocks = routes.printed.split("\n").filter((line) => /^Deleted .*proto bird/.test(line));
    assert.deepEqual(blocks, [], address);
  });

  it("6: from the mesh to a reflector and back no packet is lost", async () => {
    const mesh = (enabled: boolean) => `
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: ${enabled}}
`;
    const peers = `
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: reflectors}
spec: {nodeSelector: all(), peerSelector: reflector == 'yes'}
`;
    const path = "/api/v1/nodes/node3";
    const label = (reflector: string | null, cluster4: string | null) =>
      cluster.server.must(
        "PATCH",
        path,
        {
          metadata: {
            labels: { reflector },
            annotations: { "projectcalico.org/RouteReflectorClusterID": cluster4 },
          },
        },
        "application/merge-patch+json",
      );
    const lost = await lostWhile(async () => {
      await label("yes", "1.0.0.1");
      await cluster.apply(`${peers}---${mesh(false)}`);
      await sessionsAre([[3], [3], [1, 2]]);
      await cluster.apply(mesh(true));
      await cluster.cli(["delete", "bgppeer", "reflectors"]);
      await label(null, null);
      await meshIsUp();
    });
    assert.deepEqual(lost, []);
  });

  it("24: a password that changes resets the sessions that have it, and no other", async () => {
    const write = (password: string) => {
      mkdirSync(join(secrets, "bgp"), { recursive: true });
      const file = join(secrets, "bgp", "key");
      writeFileSync(file, password, { mode: 0o600 });
      chmodSync(file, 0o600);
    };
    const peer = (name: string, node: string, other: string, more = "") => `
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: ${name}}
spec: {nodeSelector: "kubernetes.io/hostname == '${node}'", peerSelector: "kubernetes.io/hostname == '${other}'"${more}}
`;
    for (const { name } of cluster.nodes) {
      const metadata = { labels: { "kubernetes.io/hostname": name } };
      const path = `/api/v1/nodes/${name}`;
      await cluster.server.must("PATCH", path, { metadata }, "application/merge-patch+json");
    }
    write("before");
    const password = ", password: {secretKeyRef: {name: bgp, key: key}}";
    const off = `
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: false}
`;
    await cluster.apply(
      [off, peer("secret", "node1", "node2", password), peer("open", "node1", "node3")].join("---"),
    );
    await sessionsAre([[2, 3], [1], [1]]);
    const since = async () =>
      new Map((await cluster.node(1).sessions()).map((session) => [session.address, session]));
    const earlier = await since();
    write("after");
    const [second, third] = [cluster.node(2).address, cluster.node(3).address];
    await waitFor(
      async () => {
        const now = (await since()).get(second);
        return now?.state === "Established" && now.since !== earlier.get(second)?.since;
      },
      { timeoutMs: 120_000, what: "the session with the new password" },
    );
    assert.deepEqual((await since()).get(third), earlier.get(third));
    await cluster.apply(off.replace("false", "true"));
    await cluster.cli(["delete", "bgppeer", "secret", "open"]);
    await meshIsUp();
  });

  it("23: a service's address follows its endpoints from node to node", async () => {
    await leakGracePeriod("15m");
    await cluster.apply(`
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: services}
spec: {cidr: 198.51.100.0/24, allowedUses: [LoadBalancer], assignmentMode: Automatic, nodeSelector: all()}
---
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: true, serviceLoadBalancerIPs: [{cidr: 198.51.100.0/24}]}
`);
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
    const via = (number: number) =>
      waitFor(
        async () => {
          const routes = await cluster.node(3).must("ip", "route", "show", `${address}/32`);
          return new RegExp(`^${address} via ${cluster.node(number).address} `).test(routes);
        },
        { timeoutMs: 60_000, what: `${address} by node ${number}` },
      );
    await via(1);
    const type = "application/merge-patch+json";
    await cluster.server.must("PATCH", `${slices}/balanced-1`, { endpoints: endpointsOn(2) }, type);
    await via(2);
    await cluster.server.must("DELETE", `${services}/balanced`);
    await cluster.server.must("DELETE", `${slices}/balanced-1`);
    await waitFor(
      async () => (await cluster.node(3).must("ip", "route", "show", `${address}/32`)) === "",
      { timeoutMs: 60_000, what: "the route's end" },
    );
  });

  it("a pod deleted by force while its node is down leaves no address", async () => {
    const node = cluster.node(3);
    const lonely = await cluster.runPod("lonely", { node: node.name });
    await node.crash();
    await cluster.deletePod(lonely, "by force");
    await leakGracePeriod("2s");
    await waitFor(
      async () => {
        const { stdout } = await cluster.cli(["ipam", "show", `--ip=${lonely.address}`]);
        return /is not (assigned|in use)/.test(stdout);
      },
      { timeoutMs: 120_000, intervalMs: 500, what: "the address" },
    );
    await leakGracePeriod("15m");
  });

  it("4: a node that was rebooted tells its routes again, and its pods are reached", async () => {
    const node = cluster.node(3);
    await node.reboot();
    await meshIsUp();
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
    await leakGracePeriod("2s");
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
    await nothingIsWrong();
    await waitFor(async () => !block.test(await cluster.node(1).must("ip", "route")), {
      timeoutMs: 120_000,
      what: "an end of its routes",
    });
  });

  it("5: pods reach each other again soon after the pool's encapsulation changed", async (t) => {
    const shown = await cluster.cli(["get", "ippool", "default-ipv4-ippool", "-o", "json"]);
    const pool = JSON.parse(shown.stdout) as { spec: object };
    const [first, second] = [cluster.node(1), cluster.node(2)];
    const mtus = () => [first, second].map(({ mtuFile }) => readFileSync(mtuFile, "utf8").trim());
    assert.deepEqual(mtus(), ["1500", "1500"]);
    const changeTo = (vxlanMode: string) =>
      cluster.apply(JSON.stringify({ ...pool, spec: { ...pool.spec, vxlanMode } }));
    for (const [mode, mtu, route] of [
      ["Always", "1450", /dev vxlan\.calico/],
      ["CrossSubnet", "1450", /via 192\.168\.1\.12 dev eth0/],
    ] as const) {
      const lost = await lostWhile(async () => {
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
