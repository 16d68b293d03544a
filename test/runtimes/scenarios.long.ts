import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { NetworkPolicy } from "../../src/api/resources/policy.ts";
import { putPolicies } from "../conformance/kubernetes-server.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { Background } from "../support/lab.ts";
import { Cluster, type RunningPod } from "../support/runtimes/cluster.ts";
import { waitFor } from "../support/wait-for.ts";
import { lostWhile, meshEnabled, meshIsUp, sessionsAre, untilReached } from "./cluster-checks.ts";

/** Acceptance scenarios of facts appendix E, by their numbers, in a real cluster: those that take long. */

const found = findKubeApiServer();
const program = "path" in found ? found.path : "";

describe("in a cluster", { skip: "missing" in found ? found.missing : false }, () => {
  const secrets = mkdtempSync(join(tmpdir(), "tt-secrets-"));
  let cluster: Cluster;
  /** One on each node. */
  let pods: readonly RunningPod[];

  before(async () => {
    cluster = await Cluster.start(program, { nodes: 3, env: { TORTIE_SECRETS_PATH: secrets } });
    pods = await Promise.all(
      cluster.nodes.map(({ name }) => cluster.runPod(`on-${name}`, { node: name })),
    );
    await meshIsUp(cluster);
  });
  after(async () => {
    await cluster?.remove();
    rmSync(secrets, { recursive: true });
  });

  const podOn = (number: number) => pods[number - 1] ?? assert.fail(`no pod on node ${number}`);
  const firstTwo = () => [podOn(1), podOn(2)] as const;

  it("1: of 100 pods at once on a node each has an address, a route and rules", async () => {
    const node = cluster.node(1);
    const many = await Promise.all(
      Array.from({ length: 100 }, (_, index) => cluster.runPod(`many${index}`)),
    );
    assert.equal(new Set(many.map(({ address }) => address)).size, many.length);
    const routes = await node.must("ip", "route");
    const rules = await node.must("iptables-save", "-t", "filter");
    for (const name of await node.veths()) {
      assert.ok(routes.includes(` dev ${name} `), name);
      assert.ok(rules.includes(`-A cali-tw-${name} `), name);
    }
    await Promise.all(many.map((pod) => cluster.deletePod(pod)));
    assert.equal((await node.veths()).length, 1);
    const check = await cluster.cli(["ipam", "check"]);
    assert.equal(check.code, 0, check.stdout);
  });

  it("6: from the mesh to a reflector and back no packet is lost", async () => {
    const peers = `
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: reflectors}
spec: {nodeSelector: all(), peerSelector: reflector == 'yes'}
`;
    const reflector = (yes: string | null, id: string | null) =>
      cluster.markNode("node3", {
        labels: { reflector: yes },
        annotations: { "projectcalico.org/RouteReflectorClusterID": id },
      });
    const lost = await lostWhile(firstTwo(), async () => {
      await reflector("yes", "1.0.0.1");
      await cluster.apply(`${peers}---${meshEnabled(false)}`);
      await sessionsAre(cluster, [[3], [3], [1, 2]]);
      await cluster.apply(meshEnabled(true));
      await cluster.cli(["delete", "bgppeer", "reflectors"]);
      await reflector(null, null);
      await meshIsUp(cluster);
    });
    assert.deepEqual(lost, []);
  });

  it("15: an API server that forgets what was watched, again and again, withdraws no route", async () => {
    const routes = new Background(cluster.node(1).netns, "ip", "monitor", "route");
    const lost = await lostWhile(firstTwo(), async () => {
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
      await cluster.markNode(name, { labels: { "kubernetes.io/hostname": name } });
    }
    write("before");
    const password = ", password: {secretKeyRef: {name: bgp, key: key}}";
    await cluster.apply(
      [
        meshEnabled(false),
        peer("secret", "node1", "node2", password),
        peer("open", "node1", "node3"),
      ].join("---"),
    );
    await sessionsAre(cluster, [[2, 3], [1], [1]]);
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
    await cluster.apply(meshEnabled(true));
    await cluster.cli(["delete", "bgppeer", "secret", "open"]);
    await meshIsUp(cluster);
  });

  it("8: of 10,000 policies the kernel holds the 20 that select local pods", async (t) => {
    const policy = (index: number): NetworkPolicy => ({
      apiVersion: "projectcalico.org/v3",
      kind: "NetworkPolicy",
      metadata: { name: `policy-${index}`, namespace: "default" },
      spec: {
        selector: index < 20 ? "app == 'local'" : `app == 'elsewhere-${index}'`,
        types: ["Ingress"],
        ingress: [{ action: "Allow", source: { nets: ["10.244.0.0/16"] } }],
      },
    });
    const policies = Array.from({ length: 10_000 }, (_, index) => policy(index));
    const node = cluster.node(1);
    await node.stopTortie();
    await cluster.server.stop();
    await putPolicies(cluster.server, {
      apiGroup: "crd.projectcalico.org/v1",
      policies,
      revisions: "shared",
    });
    await cluster.server.start();
    node.startTortie();
    await node.ready();
    await cluster.runPod("local", { labels: { app: "local" } });
    const chains = async () =>
      new Set((await node.must("iptables-save", "-t", "filter")).match(/^:cali-pi-\S+/gm)).size;
    await waitFor(async () => (await chains()) === 20, { timeoutMs: 120_000, what: "20 policies" });
    const { felix } = node.processes;
    const status = readFileSync(`/proc/${felix?.pid}/status`, "utf8");
    const rssMb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
    t.diagnostic(`RSS of felix: ${rssMb.toFixed(0)} MB`);
    assert.ok(rssMb < 400, `${rssMb} MB`);
  });
});
