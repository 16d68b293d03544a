import assert from "node:assert/strict";
import { test } from "node:test";
import { openKubernetesDatastore } from "../../src/datastore/kubernetes/kubernetes-datastore.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { waitFor } from "../support/wait-for.ts";
import { configOf, openPatiently } from "./kubernetes-server.ts";

const group = "kubevirt.io";
const kinds = [
  { kind: "VirtualMachine", plural: "virtualmachines" },
  { kind: "VirtualMachineInstance", plural: "virtualmachineinstances" },
] as const;
const apiVersion = `${group}/v1`;
const namespace = "machines";
const root = `/apis/${apiVersion}/namespaces/${namespace}`;
const mergePatch = "application/merge-patch+json";

/** KubeVirt's objects, with CRDs that have no more of KubeVirt's than their names. */
export async function kubernetesMachines(server: KubeApiServer): Promise<void> {
  await server.createNamespaces(namespace);
  const datastore = await openPatiently(server);
  const { virtualMachines } = datastore;
  assert.ok(virtualMachines !== undefined);
  const stateOf = (name: string) => virtualMachines.stateOf({ namespace, name });

  test("kubernetes: of a virtual machine nobody can say anything without KubeVirt; with it, whether it is there", async () => {
    assert.equal(await stateOf("db"), "unknown");
    for (const names of kinds) await installCrd(server, names);
    assert.equal(await stateOf("db"), "gone");
    const metadata = { name: "db", finalizers: [`${group}/test`] };
    const path = `${root}/virtualmachines`;
    await server.must("POST", path, { apiVersion, kind: "VirtualMachine", metadata });
    assert.equal(await stateOf("db"), "there");
    await server.must("DELETE", `${path}/db`);
    assert.equal(await stateOf("db"), "ending");
    const release = { metadata: { finalizers: null } };
    await server.must("PATCH", `${path}/db`, release, mergePatch);
    assert.equal(await stateOf("db"), "gone");
  });

  test("kubernetes: a pod is a machine's by its owner, which must be the one that is there", async () => {
    const created = (await server.must("POST", `${root}/virtualmachineinstances`, {
      apiVersion,
      kind: "VirtualMachineInstance",
      metadata: { name: "web" },
    })) as { readonly metadata: { readonly uid: string } };
    const { uid } = created.metadata;
    await createPod(server, "virt-launcher-web-a", uid);
    const pod = { namespace, name: "virt-launcher-web-a" };
    assert.deepEqual(await virtualMachines.ofPod(pod), {
      namespace,
      name: "web",
      instanceUid: uid,
    });
    await createPod(server, "virt-launcher-web-b", "00000000-0000-0000-0000-000000000000");
    const stale = virtualMachines.ofPod({ namespace, name: "virt-launcher-web-b" });
    await assert.rejects(stale, new RegExp(`its uid is ${uid}`));
    assert.equal(await stateOf("web"), "there");
  });

  test("kubernetes: who may not read virtual machines is told so", async () => {
    const access = { kubeconfig: server.kubeconfig("nobody") };
    const refused = await openKubernetesDatastore({ ...configOf(server), access });
    const asked = refused.virtualMachines?.stateOf({ namespace, name: "db" });
    await assert.rejects(asked ?? assert.fail(), /may not "get" virtualmachines\.kubevirt\.io/);
    await refused.close();
    await datastore.close();
  });
}

async function installCrd(server: KubeApiServer, names: (typeof kinds)[number]): Promise<void> {
  const openAPIV3Schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  await server.must("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${names.plural}.${group}` },
    spec: {
      group,
      names,
      scope: "Namespaced",
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  });
  const path = `/apis/${apiVersion}/${names.plural}`;
  await waitFor(async () => (await server.request("GET", path)).status === 200, {
    timeoutMs: 60_000,
    what: path,
  });
}

async function createPod(server: KubeApiServer, name: string, uid: string): Promise<void> {
  const owner = { apiVersion, kind: "VirtualMachineInstance", name: "web", uid, controller: true };
  await server.must("POST", `/api/v1/namespaces/${namespace}/pods`, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, ownerReferences: [owner] },
    spec: { containers: [{ name: "compute", image: "compute" }] },
  });
}
