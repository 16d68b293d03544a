import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Profile } from "../../src/api/resources/policy.ts";
import type { WorkloadEndpoint } from "../../src/api/resources/workload-endpoint.ts";
import { type Datastore, unlessAbsent } from "../../src/datastore/datastore.ts";
import { openEtcdDatastore } from "../../src/datastore/etcd/etcd-datastore.ts";
import { pod, profile } from "../states/resources.ts";
import { etcdControllersRules } from "../support/deploy/manifest.ts";
import { endChild } from "../support/end-child.ts";
import { EtcdServer } from "../support/etcd-server.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { waitFor } from "../support/wait-for.ts";
import { openPatiently } from "./kubernetes-server.ts";

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
const patience = { timeoutMs: 120_000, intervalMs: 100 };
const merge = "application/merge-patch+json";

/** `tortie controllers` with etcd beside a real API server: two of them, of which one works. */
export function kubernetesCopies(server: KubeApiServer): void {
  let etcd: EtcdServer;
  let kubeconfig: string;
  let datastore: Datastore;
  let first: Controllers;
  let second: Controllers;

  before(async () => {
    etcd = await EtcdServer.start();
    datastore = await openEtcdDatastore({ endpoints: [etcd.endpoint] });
    // Of a namespace that went while nobody looked, and one that is nobody's copy.
    await datastore.create<"Profile">(profile("kns.gone"));
    await datastore.create<"Profile">(profile("mine"));
    // What the CNI plugin writes: it does not ask Kubernetes.
    await datastore.create<"WorkloadEndpoint">(endpoint("web"));
    await server.createNamespaces("copied");
    const labels = { metadata: { labels: { team: "blue" } } };
    await server.must("PATCH", "/api/v1/namespaces/copied", labels, merge);
    await server.must("POST", "/api/v1/namespaces/copied/serviceaccounts", account("cashier"));
    await server.must("POST", "/api/v1/namespaces/copied/pods", webPod);
    await server.must("POST", policies, allowClients);
    // No more rights than docs/operations.md says.
    await server.must("POST", "/api/v1/namespaces/copied/serviceaccounts", account("controllers"));
    await server.must("POST", roles, role);
    await server.must("POST", bindings, binding);
    kubeconfig = await server.accountKubeconfig("copied", "controllers");
    first = new Controllers(kubeconfig, etcd);
    await waitFor(() => first.log.includes('"leading"'), patience);
    second = new Controllers(kubeconfig, etcd);
  });
  after(async () => {
    await first?.end();
    await second?.end();
    await datastore?.close();
    await etcd?.remove();
    for (const path of made) await server.request("DELETE", `${path}?gracePeriodSeconds=0`);
  });

  const profileOf = (name: string) =>
    unlessAbsent(datastore.get<"Profile">({ kind: "Profile", name }));
  const labelsOf = async (name: string) => (await profileOf(name))?.spec.labelsToApply ?? {};
  const endpointNow = () => datastore.get<"WorkloadEndpoint">(endpointKey);

  test("copies: namespaces, service accounts, policies and what pods say are in etcd as the Kubernetes datastore shows them", async () => {
    await waitFor(async () => (await profileOf("ksa.copied.cashier")) !== undefined, patience);
    await waitFor(async () => (await profileOf("kns.gone")) === undefined, patience);
    const kubernetes = await openPatiently(server);
    for (const name of ["kns.copied", "ksa.copied.cashier"]) {
      const shown = await kubernetes.get<"Profile">({ kind: "Profile", name });
      await waitFor(async () => (await profileOf(name)) !== undefined, patience);
      assert.deepEqual((await profileOf(name))?.spec, shown.spec);
    }
    assert.equal((await labelsOf("kns.copied"))["pcns.team"], "blue");
    assert.equal((await labelsOf("ksa.copied.cashier"))["pcsa.role"], "till");
    const key = {
      kind: "NetworkPolicy",
      name: "knp.default.clients",
      namespace: "copied",
    } as const;
    await waitFor(async () => (await unlessAbsent(datastore.get(key))) !== undefined, patience);
    const [copied, shown] = await Promise.all([datastore.get(key), kubernetes.get(key)]);
    assert.deepEqual(copied.spec, shown.spec);
    assert.notEqual(copied.metadata.uid, shown.metadata.uid);
    await waitFor(async () => (await endpointNow()).metadata.labels?.["app"] === "web", patience);
    const { metadata, spec } = await endpointNow();
    assert.equal(metadata.labels?.["projectcalico.org/serviceaccount"], "cashier");
    assert.deepEqual(spec.profiles, ["kns.copied", "ksa.copied.cashier"]);
    assert.deepEqual(spec.ports, [{ name: "http", protocol: "TCP", port: 8080 }]);
    // What the plugin knows stays.
    assert.deepEqual(spec.ipNetworks, ["10.65.0.7/32"]);
    assert.equal(spec.interfaceName, "caliweb");
    assert.notEqual(await profileOf("mine"), undefined);
    await kubernetes.close();
  });

  test("copies: what somebody changes in a copy is put right, what changes in Kubernetes follows", async () => {
    const copy = (await profileOf("kns.copied")) as Profile;
    await datastore.update<"Profile">({ ...copy, spec: { ...copy.spec, labelsToApply: {} } });
    await waitFor(async () => (await labelsOf("kns.copied"))["pcns.team"] === "blue", patience);
    await datastore.delete({ kind: "Profile", name: "ksa.copied.cashier" });
    await waitFor(async () => (await profileOf("ksa.copied.cashier")) !== undefined, patience);
    const patch = { metadata: { labels: { app: "web", tier: "front" } } };
    await server.must("PATCH", "/api/v1/namespaces/copied/pods/web", patch, merge);
    await waitFor(
      async () => (await endpointNow()).metadata.labels?.["tier"] === "front",
      patience,
    );
  });

  test("copies: the second takes over when the first ends; what has gone in Kubernetes goes, endpoints stay", async () => {
    assert.ok(!second.log.includes('"leading"'));
    await first.end();
    await waitFor(() => second.log.includes('"leading"'), patience);
    await server.must("DELETE", `${policies}/clients`);
    const key = {
      kind: "NetworkPolicy",
      name: "knp.default.clients",
      namespace: "copied",
    } as const;
    await waitFor(async () => (await unlessAbsent(datastore.get(key))) === undefined, patience);
    await server.must("DELETE", "/api/v1/namespaces/copied/serviceaccounts/cashier");
    await waitFor(async () => (await profileOf("ksa.copied.cashier")) === undefined, patience);
    await server.must("POST", "/api/v1/namespaces/copied/serviceaccounts", account("cashier"));
    await waitFor(async () => (await profileOf("ksa.copied.cashier")) !== undefined, patience);
    assert.equal((await endpointNow()).spec.interfaceName, "caliweb");
  });
}

const policies = "/apis/networking.k8s.io/v1/namespaces/copied/networkpolicies";
const roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const rbac = { apiVersion: "rbac.authorization.k8s.io/v1", metadata: { name: "tortie-copies" } };
const role = {
  ...rbac,
  kind: "ClusterRole",
  rules: etcdControllersRules(),
};
const binding = {
  ...rbac,
  kind: "ClusterRoleBinding",
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "tortie-copies" },
  subjects: [{ kind: "ServiceAccount", name: "controllers", namespace: "copied" }],
};
/** What others of this server must not meet. */
const made = [
  "/api/v1/namespaces/copied/pods/web",
  `${policies}/clients`,
  `${bindings}/tortie-copies`,
  `${roles}/tortie-copies`,
];
const endpointKey = {
  kind: "WorkloadEndpoint",
  name: "node1-k8s-web-eth0",
  namespace: "copied",
} as const;

function endpoint(name: string): WorkloadEndpoint {
  const ip = "10.65.0.7/32";
  return pod(endpointKey.name, {
    node: "node1",
    namespace: "copied",
    ip,
    pod: name,
    interfaceName: `cali${name}`,
  });
}

function account(name: string): object {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, labels: { role: "till" } } };
}

const webPod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web", labels: { app: "web" } },
  spec: {
    nodeName: "node1",
    serviceAccountName: "cashier",
    automountServiceAccountToken: false,
    containers: [{ name: "main", image: "none", ports: [{ name: "http", containerPort: 8080 }] }],
  },
};

const allowClients = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "clients" },
  spec: {
    podSelector: { matchLabels: { app: "web" } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: "client" } } }] }],
  },
};

/** One `tortie controllers`. */
class Controllers {
  readonly #child: ChildProcess;
  log = "";

  constructor(kubeconfig: string, etcd: EtcdServer) {
    this.#child = spawn(tortie, ["controllers"], {
      env: {
        PATH: process.env["PATH"] ?? "",
        DATASTORE_TYPE: "etcdv3",
        ETCD_ENDPOINTS: etcd.endpoint,
        KUBECONFIG: kubeconfig,
        // As in Calico's manifest for etcd.
        ENABLED_CONTROLLERS: "policy,namespace,serviceaccount,workloadendpoint,node",
        TORTIE_STATUS_FILE: "/nowhere/status.json",
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child.stderr?.on("data", (piece: Buffer) => {
      this.log += piece.toString();
    });
  }

  async end(): Promise<void> {
    await endChild(this.#child, "SIGTERM");
  }
}
