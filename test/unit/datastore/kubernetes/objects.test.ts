import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { AnyResource, Kind } from "../../../../src/api/resource-of-kind.ts";
import type { KubeObject } from "../../../../src/datastore/kubernetes/kube-object.ts";
import type { Mapping } from "../../../../src/datastore/kubernetes/mapping.ts";
import { mappingsOf } from "../../../../src/datastore/kubernetes/mappings.ts";
import { mirroredUid } from "../../../../src/datastore/kubernetes/uid.ts";

const mappings = mappingsOf({ apiGroup: "crd.projectcalico.org/v1", interfacePrefix: "cali" });

function mapping(kind: Kind, index = 0): Mapping {
  const found = mappings[kind][index];
  assert.ok(found);
  return found;
}

function encoded(kind: Kind, resource: object): KubeObject {
  const { writes } = mapping(kind);
  assert.equal(writes.kind, "objects");
  return writes.kind === "objects"
    ? writes.encode(resource as AnyResource)
    : { metadata: { name: "" } };
}

test("facts B19: a UID's bits are reversed in each byte, but for version and variant", () => {
  const [uid, mirrored] = [
    "3f1b0c9e-5d2a-4c77-9a10-0123456789ab",
    "fcd83079-ba54-4cee-9a08-80c4a2e691d5",
  ];
  assert.equal(mirroredUid(uid), mirrored);
  fc.assert(fc.property(fc.uuid(), (any) => mirroredUid(mirroredUid(any)) === any));
  assert.equal(mirroredUid("uid-1"), "uid-1");
});

test("facts 2.1: metadata of a v3 object is one annotation; Calico's own labels are on the CRD too", () => {
  const object = encoded("GlobalNetworkPolicy", {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: {
      name: "deny",
      uid: "fcd83079-ba54-4cee-9a08-80c4a2e691d5",
      resourceVersion: "7",
      creationTimestamp: "2026-08-22T10:00:00Z",
      labels: { "projectcalico.org/tier": "default", app: "a<b" },
    },
    spec: { order: 1 },
  });
  assert.deepEqual(object, {
    apiVersion: "crd.projectcalico.org/v1",
    kind: "GlobalNetworkPolicy",
    metadata: {
      name: "deny",
      resourceVersion: "7",
      labels: { "projectcalico.org/tier": "default" },
      annotations: {
        "projectcalico.org/metadata":
          '{"name":"deny","creationTimestamp":"2026-08-22T10:00:00Z","labels":{"app":"a\\u003cb","projectcalico.org/tier":"default"}}',
      },
    },
    spec: { order: 1 },
  });
});

test("only policies keep their name in the annotation", () => {
  const pool = encoded("IPPool", {
    kind: "IPPool",
    metadata: { name: "p" },
    spec: { cidr: "10.0.0.0/8" },
  });
  assert.equal(
    pool.metadata.annotations?.["projectcalico.org/metadata"],
    '{"creationTimestamp":null}',
  );
});

test("what kubectl wrote without the annotation is taken as it is", () => {
  const resource = mapping("IPPool").decode({
    metadata: {
      name: "p",
      uid: "3f1b0c9e-5d2a-4c77-9a10-0123456789ab",
      resourceVersion: "9",
      creationTimestamp: "2026-08-22T10:00:00Z",
      labels: { a: "b" },
      managedFields: [],
      generation: 3,
    },
    spec: { cidr: "10.0.0.0/8", future: 1 },
  });
  assert.deepEqual(resource, {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: {
      name: "p",
      uid: "fcd83079-ba54-4cee-9a08-80c4a2e691d5",
      resourceVersion: "9",
      creationTimestamp: "2026-08-22T10:00:00Z",
      labels: { a: "b" },
    },
    spec: { cidr: "10.0.0.0/8", future: 1 },
  });
});

test("a policy that an older release wrote loses its tier before its name", () => {
  const stored = (name: string, annotation?: string) => ({
    metadata: {
      name,
      namespace: "n",
      ...(annotation === undefined
        ? {}
        : { annotations: { "projectcalico.org/metadata": annotation } }),
    },
    spec: {},
  });
  const nameOf = (object: KubeObject) => mapping("NetworkPolicy").decode(object)?.metadata.name;
  assert.equal(nameOf(stored("default.web", '{"creationTimestamp":null}')), "web");
  assert.equal(nameOf(stored("default.web", '{"name":"default.web"}')), "default.web");
  assert.equal(nameOf(stored("other.web")), "other.web");
  assert.deepEqual(
    mapping("NetworkPolicy").locate({ kind: "NetworkPolicy", namespace: "n", name: "web" }),
    [
      { namespace: "n", name: "web" },
      { namespace: "n", name: "default.web" },
    ],
  );
});

test("owner references of Calico's objects are moved between the groups, both ways", () => {
  const owner = {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    name: "p",
    uid: "fcd83079-ba54-4cee-9a08-80c4a2e691d5",
  };
  const resource = { kind: "IPPool", metadata: { name: "q", ownerReferences: [owner] }, spec: {} };
  const object = encoded("IPPool", resource);
  const text = object.metadata.annotations?.["projectcalico.org/metadata"] ?? "";
  assert.deepEqual(JSON.parse(text).ownerReferences, [
    {
      ...owner,
      apiVersion: "crd.projectcalico.org/v1",
      uid: "3f1b0c9e-5d2a-4c77-9a10-0123456789ab",
    },
  ]);
  const read = mapping("IPPool").decode(object)?.metadata as { ownerReferences?: unknown };
  assert.deepEqual(read.ownerReferences, [owner]);
});

test("IPAM's objects: deleted is a text in an affinity, and a marked object is none", () => {
  const affinity = {
    apiVersion: "projectcalico.org/v3",
    kind: "BlockAffinity",
    metadata: { name: "n-10-0-0-0-26" },
    spec: { state: "confirmed", node: "n", type: "host", cidr: "10.0.0.0/26", deleted: false },
  };
  const object = encoded("BlockAffinity", affinity);
  assert.equal((object["spec"] as { deleted: unknown }).deleted, "false");
  assert.deepEqual(mapping("BlockAffinity").decode(object), affinity);
  const marked = { ...object, spec: { ...(object["spec"] as object), deleted: "true" } };
  assert.equal(mapping("BlockAffinity").decode(marked), undefined);
  assert.equal(mapping("BlockAffinity").keyOf(marked)?.name, "n-10-0-0-0-26");
});

test("a block has the fields that upstream's CRD requires, and every digit of its numbers", () => {
  const spec = {
    cidr: "10.0.0.0/31",
    allocations: [0, null],
    unallocated: [1],
    attributes: [{ handle_id: "h" }],
    sequenceNumber: 1755856800000000003n,
    sequenceNumberForAllocation: { "0": 2n },
  };
  const object = encoded("IPAMBlock", { kind: "IPAMBlock", metadata: { name: "b" }, spec });
  assert.deepEqual(object["spec"], { ...spec, deleted: false, strictAffinity: false });
  assert.deepEqual(mapping("IPAMBlock").decode(object)?.spec, spec);
});

test("the IPAM configuration is an IPAMConfig in v1", () => {
  assert.equal(mapping("IPAMConfiguration").collection.plural, "ipamconfigs");
  assert.equal(
    encoded("IPAMConfiguration", { metadata: { name: "default" }, spec: {} }).kind,
    "IPAMConfig",
  );
});

test("a namespace and a service account are profiles", () => {
  const namespace = mapping("Profile", 0).decode({
    metadata: {
      name: "shop",
      resourceVersion: "4",
      labels: { team: "a" },
      annotations: { "cni.projectcalico.org/ipv4pools": '["p"]', other: "x" },
    },
  });
  assert.deepEqual(namespace, {
    apiVersion: "projectcalico.org/v3",
    kind: "Profile",
    metadata: {
      name: "kns.shop",
      annotations: { "cni.projectcalico.org/ipv4pools": '["p"]' },
      resourceVersion: "4",
    },
    spec: {
      ingress: [{ action: "Allow" }],
      egress: [{ action: "Allow" }],
      labelsToApply: {
        "pcns.kubernetes.io/metadata.name": "shop",
        "pcns.team": "a",
        "pcns.projectcalico.org/name": "shop",
      },
    },
  });
  const account = mapping("Profile", 1).decode({
    metadata: { name: "web.v1", namespace: "shop", labels: { role: "b" } },
  });
  assert.equal(account?.metadata.name, "ksa.shop.web.v1");
  assert.ok(account);
  assert.deepEqual((account.spec as { labelsToApply: object }).labelsToApply, {
    "pcsa.role": "b",
    "pcsa.projectcalico.org/name": "web.v1",
  });
  assert.deepEqual(mapping("Profile", 1).locate({ kind: "Profile", name: "ksa.shop.web.v1" }), [
    { namespace: "shop", name: "web.v1" },
  ]);
});

test("a Kubernetes policy is NetworkPolicy knp.default.<name> and is written back as it was", () => {
  const native = mapping("NetworkPolicy", 1);
  const policy = {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "web", namespace: "shop", resourceVersion: "5" },
    spec: { podSelector: { matchLabels: { app: "web" } }, policyTypes: ["Ingress"] },
  };
  const resource = native.decode(policy);
  assert.equal(resource?.metadata.name, "knp.default.web");
  assert.ok(resource);
  assert.deepEqual(native.writes.kind === "objects" && native.writes.encode(resource), policy);
  const key = { kind: "NetworkPolicy", namespace: "shop", name: "knp.default.web" } as const;
  assert.deepEqual(mapping("NetworkPolicy", 0).locate(key), []);
  assert.deepEqual(native.locate(key), [{ namespace: "shop", name: "web" }]);
});

test("a ClusterNetworkPolicy is GlobalNetworkPolicy kcnp.default.<name> and is written back as it was", () => {
  const native = mapping("GlobalNetworkPolicy", 1);
  const policy = {
    apiVersion: "policy.networking.k8s.io/v1alpha2",
    kind: "ClusterNetworkPolicy",
    metadata: { name: "web", resourceVersion: "5" },
    spec: { tier: "Admin", priority: 1, subject: { namespaces: {} } },
  };
  const resource = native.decode({ ...policy, status: { conditions: [] } });
  assert.equal(resource?.metadata.name, "kcnp.default.web");
  assert.ok(resource);
  assert.deepEqual(native.writes.kind === "objects" && native.writes.encode(resource), policy);
  const key = { kind: "GlobalNetworkPolicy", name: "kcnp.default.web" } as const;
  assert.deepEqual(mapping("GlobalNetworkPolicy", 0).locate(key), []);
  assert.deepEqual(native.locate(key), [{ name: "web" }]);
  assert.deepEqual(native.keyOf(policy), key);
  assert.deepEqual(native.locate({ ...key, name: "web" }), []);
});
