import assert from "node:assert/strict";
import { test } from "node:test";
import { isCordoned, mayWork } from "../../src/api/node-conditions.ts";
import { pathHealthyType } from "../../src/api/path-checks.ts";
import { isDatastoreError, type WatchEvent } from "../../src/datastore/datastore.ts";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import { endpointName } from "../../src/datastore/kubernetes/pod-endpoint.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { waitFor } from "../support/wait-for.ts";
import { configOf, openPatiently } from "./kubernetes-server.ts";

const is = (code: Parameters<typeof isDatastoreError>[1]) => (error: unknown) =>
  isDatastoreError(error, code);
const mergePatch = "application/merge-patch+json";
const crds = "/apis/crd.projectcalico.org/v1";

export async function kubernetesObjects(server: KubeApiServer): Promise<void> {
  await server.createNamespaces("shop");
  const datastore = await openPatiently(server);

  test("kubernetes: a node is read, and what we know of it is written with its status", async () => {
    await createNode(server, "node1");
    const node = await datastore.get({ kind: "Node", name: "node1" });
    assert.equal(node.metadata.labels?.["zone"], "a");
    const written = await datastore.update<"Node">({
      ...node,
      metadata: { ...node.metadata, labels: { ...node.metadata.labels, own: "1" } },
      spec: { ...node.spec, bgp: { ipv4Address: "192.168.1.11/24", asNumber: 64512 } },
    });
    assert.deepEqual(await datastore.get({ kind: "Node", name: "node1" }), written);
    assert.equal(written.spec.bgp?.asNumber, 64512);
    assert.equal(written.metadata.labels?.["own"], "1");
    const raw = (await server.must("GET", "/api/v1/nodes/node1")) as Raw;
    assert.equal(raw.metadata.annotations["projectcalico.org/IPv4Address"], "192.168.1.11/24");
    assert.deepEqual(raw.metadata.labels, { zone: "a" });
    await assert.rejects(datastore.update<"Node">(node), is("conflict"));
    const { bgp: _bgp, ...spec } = written.spec;
    const cleared = await datastore.update<"Node">({ ...written, spec });
    assert.equal(cleared.spec.bgp, undefined);
    const ghost = { ...node, metadata: { name: "ghost", resourceVersion: "1" } };
    await assert.rejects(datastore.update<"Node">(ghost), is("not-found"));
    await assert.rejects(datastore.create<"Node">(ghost), /kubelet registers nodes/);
  });

  test("kubernetes: a node's condition of ours is written among kubelet's; Ready and a cordon are seen", async () => {
    const path = "/api/v1/nodes/node1/status";
    const ready = { type: "Ready", status: "True", reason: "KubeletReady", message: "" };
    const status = { conditions: [ready] };
    await server.must("PATCH", path, { status }, mergePatch);
    await server.must(
      "PATCH",
      "/api/v1/nodes/node1",
      { spec: { unschedulable: true } },
      mergePatch,
    );
    const node = await datastore.get<"Node">({ kind: "Node", name: "node1" });
    assert.deepEqual(
      node.status?.conditions?.map(({ type }) => type),
      ["Ready", "Cordoned"],
    );
    assert.ok(mayWork(node) && isCordoned(node));
    const ours = {
      type: pathHealthyType,
      status: "False",
      reason: "Mtu",
      message: "packets vanish",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    } as const;
    const conditions = [...(node.status?.conditions ?? []), ours];
    const written = await datastore.update<"Node">({
      ...node,
      status: { ...node.status, conditions },
    });
    assert.deepEqual(
      written.status?.conditions?.find(({ type }) => type === ours.type),
      ours,
    );
    const raw = (await server.must("GET", "/api/v1/nodes/node1")) as {
      readonly status: { readonly conditions: readonly { readonly type: string }[] };
    };
    const types = raw.status.conditions.map(({ type }) => type);
    assert.deepEqual(types.toSorted(), [pathHealthyType, "Ready"]);
  });

  test("kubernetes: a pod is an endpoint; its addresses are written with its status and told by a watch", async () => {
    await createNode(server, "node-2");
    const { revision } = await datastore.list("WorkloadEndpoint");
    const events: WatchEvent[] = [];
    const stop = new AbortController();
    const watching = collect(datastore.watch(["WorkloadEndpoint"], revision, stop.signal), events);
    await createPod(server, "web-0", "node-2");
    const name = endpointName("node-2", "web-0");
    const key = { kind: "WorkloadEndpoint", namespace: "shop", name } as const;
    const endpoint = await datastore.get(key);
    assert.deepEqual(endpoint.spec.ipNetworks, []);
    const spec = { ...endpoint.spec, ipNetworks: ["10.244.0.5/32"], containerID: "abc" };
    const written = await datastore.update<"WorkloadEndpoint">({ ...endpoint, spec });
    assert.deepEqual(written.spec, spec);
    await assert.rejects(
      datastore.update<"WorkloadEndpoint">({ ...endpoint, spec }),
      is("conflict"),
    );
    assert.deepEqual((await datastore.list("WorkloadEndpoint", { namespace: "shop" })).items, [
      written,
    ]);
    await datastore.delete(key, written.metadata.resourceVersion);
    assert.deepEqual((await datastore.get(key)).spec.ipNetworks, []);
    const now = { gracePeriodSeconds: 0 };
    await server.must("DELETE", "/api/v1/namespaces/shop/pods/web-0", now);
    await waitFor(() => events.at(-1)?.kind === "deleted");
    stop.abort();
    await watching;
    const told = events.flatMap((event) =>
      event.kind === "set" && event.resource.kind === "WorkloadEndpoint"
        ? [event.resource.spec.ipNetworks?.length]
        : [],
    );
    // Deleting a pod has steps of its own.
    assert.deepEqual(told.slice(0, 3), [0, 1, 0]);
    assert.ok(told.slice(3).every((addresses) => addresses === 0));
    await assert.rejects(datastore.get(key), is("not-found"));
  });

  test("kubernetes: namespaces and service accounts are profiles, which nobody writes", async () => {
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "web" } };
    await server.must("POST", "/api/v1/namespaces/shop/serviceaccounts", account);
    const names = (await datastore.list("Profile")).items.map(({ metadata }) => metadata.name);
    assert.ok(names.includes("kns.shop") && names.includes("ksa.shop.web"));
    const profile = await datastore.get({ kind: "Profile", name: "ksa.shop.web" });
    assert.deepEqual(profile.spec.labelsToApply, { "pcsa.projectcalico.org/name": "web" });
    await assert.rejects(datastore.update<"Profile">(profile), /Kubernetes keeps/);
  });

  test("kubernetes: a Kubernetes policy is listed beside Calico's, and deleted as such", async () => {
    const policy = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "web" },
      spec: { podSelector: {}, policyTypes: ["Ingress"] },
    };
    const path = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies";
    await server.must("POST", path, policy);
    await datastore.create<"NetworkPolicy">({
      apiVersion: "projectcalico.org/v3",
      kind: "NetworkPolicy",
      metadata: { name: "web", namespace: "shop" },
      spec: {},
    });
    const { items } = await datastore.list("NetworkPolicy", { namespace: "shop" });
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name),
      ["knp.default.web", "web"],
    );
    const key = { kind: "NetworkPolicy", namespace: "shop", name: "knp.default.web" } as const;
    await datastore.delete(key);
    assert.equal((await server.request("GET", `${path}/web`)).status, 404);
    await datastore.get({ ...key, name: "web" });
  });

  test("kubernetes: ClusterNetworkPolicies are there when their CRD is, and gone with it", async () => {
    const own = await openKubernetesDatastore(configOf(server), { deadlineMs: 60_000, askMs: 50 });
    const stop = new AbortController();
    const kinds = ["GlobalNetworkPolicy"] as const;
    const follow = async () => {
      assert.ok(own.follow !== undefined);
      const { resources, changes } = await own.follow(kinds, stop.signal);
      const events: WatchEvent[] = [];
      const ended = collect(changes, events);
      ended.catch(() => undefined);
      return { names: resources.map(({ metadata }) => metadata.name), events, ended };
    };
    const without = await follow();
    assert.deepEqual(without.names, []);
    const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    await server.must("POST", definitions, clusterPolicyCrd);
    await assert.rejects(without.ended, is("compacted"));

    const path = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";
    const followed = await follow();
    await waitFor(async () => (await server.request("POST", path, clusterPolicy)).status === 201);
    await waitFor(() => followed.events.length > 0);
    const key = { kind: "GlobalNetworkPolicy", name: "kcnp.default.web" } as const;
    const read = await own.get(key);
    assert.equal(read.spec.tier, "kube-admin");
    assert.deepEqual(followed.events[0]?.kind === "set" && followed.events[0].resource, read);
    const labels = { ...read.metadata.labels, own: "1" };
    await own.update<"GlobalNetworkPolicy">({ ...read, metadata: { ...read.metadata, labels } });
    const raw = (await server.must("GET", `${path}/web`)) as Raw;
    assert.deepEqual(raw.metadata.labels, { own: "1" });
    assert.deepEqual(raw.spec, clusterPolicy.spec);
    await own.delete(key);
    await waitFor(() => followed.events.at(-1)?.kind === "deleted");

    await own.create<"GlobalNetworkPolicy">(read);
    await server.must("DELETE", `${definitions}/${clusterPolicyCrd.metadata.name}`);
    await assert.rejects(followed.ended, is("compacted"));
    assert.deepEqual((await follow()).names, []);
    stop.abort();
    await own.close();
  });

  test("kubernetes: an IPAM object marked as deleted by another is finished by whoever reads it", async () => {
    const affinity = {
      apiVersion: "projectcalico.org/v3",
      kind: "BlockAffinity" as const,
      metadata: { name: "n-10-0-0-0-26", labels: { "projectcalico.org/affinity-type": "host" } },
      spec: {
        state: "confirmed" as const,
        node: "n",
        type: "host" as const,
        cidr: "10.0.0.0/26",
        deleted: false,
      },
    };
    const path = `${crds}/blockaffinities/n-10-0-0-0-26`;
    const key = { kind: "BlockAffinity", name: "n-10-0-0-0-26" } as const;
    const mark = () => server.must("PATCH", path, { spec: { deleted: "true" } }, mergePatch);

    const first = await datastore.create<"BlockAffinity">(affinity);
    const raw = (await server.must("GET", path)) as Raw;
    assert.equal(raw.spec["deleted"], "false");
    assert.equal(raw.metadata.labels["projectcalico.org/affinity-type"], "host");
    assert.equal(raw.metadata.annotations, undefined);
    await mark();
    assert.deepEqual((await datastore.list("BlockAffinity")).items, []);
    await assert.rejects(datastore.get(key), is("not-found"));
    assert.equal((await server.request("GET", path)).status, 404);

    await datastore.create<"BlockAffinity">(affinity);
    await mark();
    const second = await datastore.create<"BlockAffinity">(affinity);
    await assert.rejects(datastore.delete(key, first.metadata.resourceVersion), is("conflict"));
    await datastore.delete(key, second.metadata.resourceVersion);
    assert.equal((await server.request("GET", path)).status, 404);
    await assert.rejects(datastore.delete(key), is("not-found"));
  });

  test("kubernetes: the status of a kind with a status of its own is written too", async () => {
    const created = await datastore.create<"CalicoNodeStatus">({
      apiVersion: "projectcalico.org/v3",
      kind: "CalicoNodeStatus",
      metadata: { name: "node1" },
      spec: { node: "node1", classes: ["BGP"], updatePeriodSeconds: 10 },
      status: { lastUpdated: "2026-08-22T10:00:00Z" },
    } as never);
    const read = await datastore.get({ kind: "CalicoNodeStatus", name: "node1" });
    assert.deepEqual(read, created);
    assert.deepEqual(read.status, { lastUpdated: "2026-08-22T10:00:00Z" });
  });

  test("kubernetes: leases are Kubernetes' own", async () => {
    const lease = await datastore.create<"Lease">({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "leader", namespace: "shop" },
      spec: { holderIdentity: "a", renewTime: "2026-08-22T10:00:00.000000Z" },
    });
    const spec = { ...lease.spec, holderIdentity: "b" };
    await datastore.update<"Lease">({ ...lease, spec });
    await assert.rejects(datastore.update<"Lease">({ ...lease, spec }), is("conflict"));
    const raw = await server.must(
      "GET",
      "/apis/coordination.k8s.io/v1/namespaces/shop/leases/leader",
    );
    assert.equal((raw as Raw).spec["holderIdentity"], "b");
  });

  test("kubernetes: the datastore closes", () => datastore.close());
}

/** As much of the CRD of the network-policy-api project as the server needs to keep the objects. */
const clusterPolicyCrd = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: {
    name: "clusternetworkpolicies.policy.networking.k8s.io",
    // The server lets nobody have a CRD of this group without it.
    annotations: { "api-approved.kubernetes.io": "unapproved, a test" },
  },
  spec: {
    group: "policy.networking.k8s.io",
    scope: "Cluster",
    names: { kind: "ClusterNetworkPolicy", plural: "clusternetworkpolicies" },
    versions: [
      {
        name: "v1alpha2",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        },
      },
    ],
  },
};
const clusterPolicy = {
  apiVersion: "policy.networking.k8s.io/v1alpha2",
  kind: "ClusterNetworkPolicy",
  metadata: { name: "web" },
  spec: {
    tier: "Admin",
    priority: 1,
    subject: { namespaces: {} },
    ingress: [{ action: "Deny", from: [{ namespaces: {} }] }],
  },
};

interface Raw {
  readonly metadata: {
    readonly labels: Record<string, string>;
    readonly annotations: Record<string, string>;
  };
  readonly spec: Record<string, unknown>;
}

async function createNode(server: KubeApiServer, name: string): Promise<void> {
  const metadata = { name, labels: { zone: "a" } };
  await server.must("POST", "/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata });
}

async function createPod(server: KubeApiServer, name: string, nodeName: string): Promise<void> {
  const spec = { nodeName, containers: [{ name: "c", image: "none" }] };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name }, spec };
  await server.must("POST", "/api/v1/namespaces/shop/pods", pod);
}

async function collect(watch: AsyncIterable<WatchEvent>, into: WatchEvent[]): Promise<void> {
  for await (const event of watch) if (event.kind !== "progress") into.push(event);
}
