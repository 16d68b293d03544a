import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { electedPeer, electionAnnotation, isElected } from "../../src/api/elected-reflectors.ts";
import {
  reflectorLabel,
  reflectorLeaseKey,
  reflectorOf,
  reflectorPeer,
} from "../../src/api/reflector-peer.ts";
import { keyOf } from "../../src/api/resource-key.ts";
import type { BGPConfiguration } from "../../src/api/resources/bgp.ts";
import type { KubeControllersConfigurationSpec } from "../../src/api/resources/kube-controllers-configuration.ts";
import { type Datastore, unlessAbsent } from "../../src/datastore/datastore.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { rewrite } from "../../src/datastore/rewrite.ts";
import { newAffinity } from "../../src/ipam/block-affinity.ts";
import type { Ipam } from "../../src/ipam/ipam.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../src/lib/prefix.ts";
import { CniRuntime, cniConfig, cniPlugins } from "../support/cni.ts";
import { type ClusterNode, ManifestCluster, type Program } from "../support/deploy/cluster.ts";
import { podTemplateOf, readManifest } from "../support/deploy/manifest.ts";
import { grantedRights, usedRights } from "../support/deploy/rights.ts";
import { StockPrograms } from "../support/deploy/stock-programs.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";
import { ipamOn, pool } from "../unit/ipam/cluster.ts";
import { chartCases } from "./deploy-chart.ts";
import { overlayCases } from "./deploy-overlays.ts";

/*
 * What people apply, on a real API server: each program runs with the command, environment and service
 * account of its manifest. Last it is compared what the accounts may do with what they did.
 */

const found = findKubeApiServer();
const skip = "missing" in found ? found.missing : false;
const patience = { timeoutMs: 120_000, intervalMs: 100 };
const files = ["tortie.yaml", "route-reflector.yaml"];
const accounts = ["calico-node", "calico-kube-controllers", "route-reflector"];
const apiVersion = "projectcalico.org/v3" as const;
const second = parsePrefix("10.99.0.0/24");

describe("deploy/*.yaml on a real API server", { skip }, () => {
  let cluster: ManifestCluster;
  let datastore: Datastore;
  let ipam: Ipam;
  let nodes: readonly [ClusterNode, ClusterNode];
  let agents: readonly [Program, Program];
  let controllers: Program;
  const stock = new StockPrograms();

  before(async () => {
    cluster = await ManifestCluster.start(
      "path" in found ? found.path : "",
      files.flatMap(readManifest),
    );
    const access = { kubeconfig: cluster.server.kubeconfig() };
    const config = { access, apiGroup: "crd.projectcalico.org/v1" } as const;
    datastore = await openKubernetesDatastore(config, { deadlineMs: 60_000 });
    ipam = ipamOn(datastore);
    await installClusterNetworkPolicy(cluster);
    nodes = [await cluster.addNode("node1"), await cluster.addNode("node2")];
    // A reflector that was killed long ago: the controllers take its BGPPeer and its Lease away a minute after
    // they start.
    const dead = "route-reflector-dead";
    await datastore.create<"BGPPeer">(reflectorPeer(dead, "192.0.2.99", 1790));
    const { name, namespace } = reflectorLeaseKey(dead);
    await datastore.create<"Lease">({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace: namespace ?? "", labels: { [reflectorLabel]: dead } },
      spec: { holderIdentity: dead },
    });
    await datastore.create<"BGPConfiguration">({
      apiVersion,
      kind: "BGPConfiguration",
      metadata: { name: "default" },
      spec: { serviceClusterIPs: [{ cidr: "10.96.0.0/16" }] },
    });
    agents = [
      await cluster.run("calico-node", nodes[0]),
      // As under Calico's manifest, where a Typha is named.
      await cluster.run("calico-node", nodes[1], {
        program: stock.link("start_runit"),
        env: { FELIX_TYPHAK8SSERVICENAME: "calico-typha" },
      }),
    ];
    controllers = await cluster.run("calico-kube-controllers", nodes[0], {
      program: stock.link("kube-controllers"),
    });
  });
  after(async () => {
    await datastore?.close();
    await cluster?.remove();
    stock.remove();
  });

  chartCases(() => cluster.server);
  overlayCases(() => cluster.server);

  it("accepts the pods of every DaemonSet and Deployment", async () => {
    for (const object of cluster.objects) {
      if (object.kind !== "DaemonSet" && object.kind !== "Deployment") continue;
      const { metadata, spec } = podTemplateOf(object);
      const name = object.metadata.name;
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, name }, spec };
      const path = "/api/v1/namespaces/kube-system/pods?dryRun=All&fieldValidation=Strict";
      await cluster.server.must("POST", path, pod);
    }
  });

  it("makes a node that its probes find well, and that tells Kubernetes so", async () => {
    for (const [index, agent] of agents.entries()) {
      const node = nodes[index] as ClusterNode;
      await waitFor(() => cluster.probe("calico-node", node, "readinessProbe"), {
        ...patience,
        what: `readiness: ${agent.log().slice(-2000)}`,
      });
      assert.ok(await cluster.probe("calico-node", node, "livenessProbe"));
      await waitFor(async () => (await networkCondition(cluster, node)) === "False", patience);
    }
    // The probes of stock manifests, in the words of both releases.
    const [agent] = agents;
    await agent.succeeds(["node", "health", "--felix-live", "--felix-ready", "--bird-live"]);
    const stopped = cluster.hook("calico-node", "preStop");
    await agents[0].ask(stopped.slice(1));
    assert.equal(await networkCondition(cluster, nodes[0]), "True");
  });

  it("follows once what the three processes of a node share", async () => {
    const lists = cluster.events().filter(({ user, verb, resource }) => {
      return user.endsWith(":calico-node") && verb === "list" && resource === "felixconfigurations";
    });
    assert.equal(lists.length, nodes.length);
  });

  it("runs what Calico's manifests execute, of both columns of facts 7.10", async () => {
    const rows = [
      ...["calico-ipam -upgrade", "calico-node -init -best-effort"],
      "calico component node init --best-effort",
      ...[`install ${stock.folders}`, `calico component cni install ${stock.folders}`],
      ...["calico-node -felix-live -bird-live", "calico-node -felix-ready -bird-live"],
      "calico component node health --felix-live --bird-live",
      "calico component node health --felix-ready --bird-live",
      ...["calico-node -shutdown", "calico component node shutdown"],
    ];
    const ofControllers = [
      ...["check-status -l", "check-status -r"],
      "calico component kube-controllers-health -l",
      "calico component kube-controllers-health -r",
    ];
    for (const [program, commands] of [
      [agents[1], rows] as const,
      [controllers, ofControllers] as const,
    ]) {
      for (const command of commands) {
        const [name = "", ...args] = command.split(" ");
        await cluster.exec(nodes[1], [stock.link(name), ...args], program.env);
      }
    }
    assert.match(agents[1].log(), /Typha is not asked/);
    assert.deepEqual(stock.installed(), ["10-calico.conflist", "calico", "calico-ipam"]);
    assert.equal(await networkCondition(cluster, nodes[1]), "True");
  });

  it("gives pods addresses, and takes back blocks that are not the node's any more", async () => {
    await datastore.create<"IPPool">(pool("second", { cidr: second }));
    using first = new TestNetns("pod");
    using other = new TestNetns("pod");
    const socket = agents[0].env["TORTIE_CNI_SOCKET"] ?? "";
    await waitFor(() => existsSync(socket), { ...patience, what: "the CNI agent" });
    const runtime = new CniRuntime(cniPlugins.shim, socket);
    const config = { ...cniConfig, ipam: { ...cniConfig.ipam, ipv4_pools: ["second"] } };
    const call = async (command: string, pod: string, netns: TestNetns) => {
      const ran = await runtime.call({ command, pod, netns: netns.path, config });
      assert.equal(ran.code, 0, `${command} ${pod}: ${ran.stdout}${agents[0].log().slice(-2000)}`);
      return ran.answer.ips?.[0]?.address ?? "";
    };
    await createPod(cluster, "p1");
    await createPod(cluster, "p2");
    const address = await call("ADD", "p1", first);
    assert.ok(address.startsWith("10.99.0."));
    const { "cni.projectcalico.org/podIP": told } = await annotationsOf(cluster, "p1");
    assert.equal(told, address);
    // The block has no owner now: with its last address it goes.
    await ipam.releaseAffinities({ pool: second });
    await call("DEL", "p1", first);
    await waitFor(async () => (await blocksOf(datastore, "node1")).length === 1, patience);
    // A block of another node, of which this one believes that it is its own.
    const foreign = parsePrefix("10.99.0.64/26");
    await leak(ipam, "node2", "10.99.0.70");
    await datastore.create<"BlockAffinity">(newAffinity("node1", foreign, "confirmed"));
    await call("ADD", "p2", other);
    await call("DEL", "p2", other);
  });

  it("answers questions about a node's BGP", async () => {
    const spec = { node: "node1", classes: ["Agent", "BGP"] as const, updatePeriodSeconds: 5 };
    const metadata = { name: "asked" };
    await datastore.create<"CalicoNodeStatus">({
      apiVersion,
      kind: "CalicoNodeStatus",
      metadata,
      spec,
    });
    await waitFor(
      async () =>
        (await datastore.get({ kind: "CalicoNodeStatus", name: "asked" })).status !== undefined,
      patience,
    );
  });

  it("reflects routes beside the mesh, then instead of it, on the host of a node's speaker", async () => {
    const reflector = await cluster.run("route-reflector", nodes[0], { pod: "route-reflector-1" });
    await waitFor(() => cluster.probe("route-reflector", nodes[0], "readinessProbe"), {
      ...patience,
      what: "the reflector's readiness",
    });
    const established = async (agent: Program) =>
      (await agent.ask(["bgp", "peers"])).match(/^\S+(?=.*Established)/gm) ?? [];
    await waitFor(async () => (await established(agents[0])).length === 2, patience);
    assert.deepEqual(await established(agents[0]), [
      "Mesh_192_0_2_12",
      "Node_192_0_2_11_port_1790",
    ]);
    await waitFor(async () => (await established(agents[1])).length === 2, patience);

    const mesh = await datastore.get<"BGPConfiguration">({
      kind: "BGPConfiguration",
      name: "default",
    });
    const off = { ...mesh.spec, nodeToNodeMeshEnabled: false };
    await datastore.update<"BGPConfiguration">({ ...mesh, spec: off });
    await waitFor(
      async () => (await established(agents[1])).join() === "Node_192_0_2_11_port_1790",
      patience,
    );
    // Of a pool without encapsulation, whose routes are BGP's.
    const blocks = (await blocksOf(datastore, "node1")).filter((cidr) => cidr.startsWith("10.99."));
    assert.equal(blocks.length, 1);
    for (const cidr of blocks) {
      const route = `${cidr} via 192.0.2.11 dev eth0 proto bird`;
      await waitFor(() => nodes[1].netns.ip("route").includes(route), { ...patience, what: route });
    }

    const key = { kind: "BGPPeer", name: "route-reflector-1-v4" } as const;
    const peer = await datastore.get<"BGPPeer">(key);
    await datastore.update<"BGPPeer">({ ...peer, spec: { ...peer.spec, peerIP: "192.0.2.13" } });
    const restored = async () => (await datastore.get<"BGPPeer">(key)).spec.peerIP;
    await waitFor(async () => (await restored()) === "192.0.2.11:1790", patience);

    await reflector.end();
    await assert.rejects(datastore.get(key), { code: "not-found" });
    await waitFor(async () => (await established(agents[1])).length === 0, patience);
  });

  it("elects a node as route reflector instead of the mesh, when it is asked to", async () => {
    const key = { kind: "BGPConfiguration", name: "default" } as const;
    const change = (edit: (present: BGPConfiguration) => BGPConfiguration) =>
      rewrite(datastore, key, edit);
    await change(({ spec, ...rest }) => ({
      ...rest,
      metadata: {
        ...rest.metadata,
        annotations: { [electionAnnotation]: "1 per zone from 2 nodes" },
      },
      spec: { ...spec, nodeToNodeMeshEnabled: true },
    }));
    await waitFor(async () => (await datastore.get(key)).spec.nodeToNodeMeshEnabled === false, {
      ...patience,
      what: `reflectors: ${controllers.log().slice(-2000)}`,
    });
    const { items } = await datastore.list("Node");
    assert.equal(items.filter(isElected).length, 1);
    const peer = await datastore.get<"BGPPeer">(keyOf(electedPeer));
    await datastore.update<"BGPPeer">({
      ...peer,
      spec: { ...peer.spec, nodeSelector: "has(nothing)" },
    });
    const isRepaired = async () =>
      (await datastore.get<"BGPPeer">(keyOf(electedPeer))).spec.nodeSelector === "all()";
    await waitFor(isRepaired, { ...patience, what: "the BGPPeer of elected nodes" });
  });

  it("runs controllers that give back what leaked, and keep services and host endpoints", async () => {
    await datastore.create<"IPPool">(pool("third", { cidr: "10.98.0.0/24" }));
    await leak(ipam, "gone", "10.98.0.1");
    assert.equal((await blocksOf(datastore, "gone")).length, 1);
    await datastore.create<"IPPool">(
      pool("services", { cidr: "192.0.3.0/28", blockSize: 28, allowedUses: ["LoadBalancer"] }),
    );
    const configure = (autoCreate: "Enabled" | "Disabled") =>
      writeControllers(datastore, {
        controllers: { node: { leakGracePeriod: "1s", hostEndpoint: { autoCreate } } },
      });
    await configure("Enabled");
    await controllers.succeeds(["controllers", "status", "--ready"]);

    await waitFor(
      async () => (await ipam.holderOf(parseIpAddr("10.98.0.1"))) === undefined,
      patience,
    );
    await waitFor(async () => (await blocksOf(datastore, "gone")).length === 0, patience);
    const services = "/api/v1/namespaces/default/services";
    const spec = { type: "LoadBalancer", ports: [{ port: 80 }] };
    const metadata = { name: "balanced" };
    await cluster.server.must("POST", services, {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec,
    });
    const given = async () => (await ipam.serviceAllocations()).length;
    // Told of it, too: an update of a Service that is gone would be refused, as it would create one.
    await waitFor(async () => (await ingressOf(cluster, "balanced")) !== undefined, patience);
    assert.equal(await given(), 1);
    await cluster.server.must("DELETE", `${services}/balanced`);
    await waitFor(async () => (await given()) === 0, patience);

    const hostEndpoints = async () => (await datastore.list("HostEndpoint")).items;
    await waitFor(async () => (await hostEndpoints()).length === 2, patience);
    const [endpoint] = await hostEndpoints();
    assert.ok(endpoint !== undefined);
    const changed = { ...endpoint, spec: { ...endpoint.spec, interfaceName: "other" } };
    await datastore.update<"HostEndpoint">(changed);
    const isRestored = async () =>
      (await hostEndpoints()).every(({ spec: { interfaceName } }) => interfaceName !== "other");
    await waitFor(isRestored, patience);
    await configure("Disabled");
    await waitFor(async () => (await hostEndpoints()).length === 0, patience);
    const left = async () =>
      (await datastore.list("BGPPeer")).items.map(({ metadata }) => metadata);
    await waitFor(async () => (await left()).every((each) => reflectorOf(each) === undefined), {
      ...patience,
      what: "the end of a reflector's BGPPeer",
    });
    await controllers.end();
  });

  for (const account of accounts) {
    it(`gives ${account} every right that it uses, and no other`, async () => {
      const user = `system:serviceaccount:kube-system:${account}`;
      const granted = await grantedRights(cluster.server, account);
      const asked = () => cluster.events().filter((event) => event.user === user);
      const refused = asked().filter(({ code }) => code === 401 || code === 403);
      assert.deepEqual([...new Set(refused.flatMap(usedRights))], []);
      const unused = () => {
        const used = new Set(asked().flatMap(usedRights));
        return [...granted].filter((right) => !used.has(right));
      };
      // A watch is in the log once the server has something to say on it.
      await waitFor(() => unused().length === 0, { timeoutMs: 20_000 }).catch(() => undefined);
      assert.deepEqual(unused(), []);
    });
  }
});

async function installClusterNetworkPolicy({ server }: ManifestCluster): Promise<void> {
  const group = "policy.networking.k8s.io";
  const names = { kind: "ClusterNetworkPolicy", plural: "clusternetworkpolicies" };
  const schema = {
    openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
  };
  const annotations = { "api-approved.kubernetes.io": "unapproved, a test" };
  const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  await server.must("POST", crds, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${names.plural}.${group}`, annotations },
    spec: {
      group,
      names,
      scope: "Cluster",
      versions: [{ name: "v1alpha2", served: true, storage: true, schema }],
    },
  });
}

function createPod({ server }: ManifestCluster, name: string): Promise<unknown> {
  const spec = { nodeName: "node1", containers: [{ name: "c", image: "none" }] };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name }, spec };
  return server.must("POST", "/api/v1/namespaces/default/pods", pod);
}

async function annotationsOf(
  { server }: ManifestCluster,
  pod: string,
): Promise<Record<string, string>> {
  const { metadata } = (await server.must("GET", `/api/v1/namespaces/default/pods/${pod}`)) as {
    readonly metadata: { readonly annotations?: Record<string, string> };
  };
  return metadata.annotations ?? {};
}

/** An address of a pod that there never was. */
async function leak(ipam: Ipam, node: string, address: string): Promise<void> {
  await ipam.assignIp({
    address: parseIpAddr(address),
    node,
    use: "Workload",
    handle: `k8s-pod-network.${address}`,
    attributes: { namespace: "default", pod: "none", node, timestamp: new Date().toISOString() },
  });
}

async function blocksOf(datastore: Datastore, node: string): Promise<string[]> {
  const { items } = await datastore.list("BlockAffinity");
  return items.filter(({ spec }) => spec.node === node).map(({ spec }) => spec.cidr);
}

async function networkCondition(
  { server }: ManifestCluster,
  node: ClusterNode,
): Promise<string | undefined> {
  const { status } = (await server.must("GET", `/api/v1/nodes/${node.name}`)) as {
    readonly status: {
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
  };
  return status.conditions?.find(({ type }) => type === "NetworkUnavailable")?.status;
}

async function ingressOf({ server }: ManifestCluster, service: string): Promise<unknown> {
  const path = `/api/v1/namespaces/default/services/${service}`;
  const { status } = (await server.must("GET", path)) as {
    readonly status: { readonly loadBalancer: { readonly ingress?: unknown } };
  };
  return status.loadBalancer.ingress;
}

async function writeControllers(
  datastore: Datastore,
  spec: KubeControllersConfigurationSpec,
): Promise<void> {
  const key = { kind: "KubeControllersConfiguration", name: "default" } as const;
  const present = await unlessAbsent(datastore.get<"KubeControllersConfiguration">(key));
  const metadata = present?.metadata ?? { name: "default" };
  const wanted = { apiVersion, kind: "KubeControllersConfiguration", metadata, spec } as const;
  if (present === undefined) await datastore.create<"KubeControllersConfiguration">(wanted);
  else await datastore.update<"KubeControllersConfiguration">(wanted);
}
