import assert from "node:assert/strict";
import { test } from "node:test";
import {
  copyRules,
  copyStep,
  enabledCopies,
} from "../../../src/controllers/kubernetes-copies/copy-rules.ts";
import { kubernetesCopies } from "../../../src/controllers/kubernetes-copies/kubernetes-copies.ts";
import { type Datastore, DatastoreError } from "../../../src/datastore/datastore.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { pod, policy, profile } from "../../states/resources.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { waitFor } from "../../support/wait-for.ts";

const log = createLogger({ name: "test", level: "silent" });

test("copyStep: a copy has the object's name and content, and an identity of its own", () => {
  const source = profile("kns.shop");
  const identity = {
    uid: "theirs",
    resourceVersion: "9",
    creationTimestamp: "2026-01-01T00:00:00Z",
  };
  const told = { ...source, metadata: { ...source.metadata, ...identity } };
  const step = copyStep(copyRules.namespace, told, undefined);
  assert.deepEqual(step, { verb: "create", resource: source });
  const own = { uid: "ours", resourceVersion: "3", creationTimestamp: "2026-02-02T00:00:00Z" };
  const present = { ...source, metadata: { ...source.metadata, ...own } };
  assert.equal(copyStep(copyRules.namespace, told, present), undefined);
  const changed = { ...told, spec: { ...told.spec, labelsToApply: { "pcns.a": "b" } } };
  assert.deepEqual(copyStep(copyRules.namespace, changed, present), {
    verb: "update",
    resource: { ...present, spec: changed.spec },
  });
  assert.deepEqual(copyStep(copyRules.namespace, undefined, present), {
    verb: "delete",
    resource: present,
  });
});

test("copyStep: an endpoint is neither made nor taken away, and keeps what its plugin has said", () => {
  const rule = copyRules.workloadendpoint;
  const present = pod("n-k8s-a-eth0", { ip: "10.0.0.1/32", mac: "02:00:00:00:00:09" });
  const said = pod("n-k8s-a-eth0", {
    ip: "10.9.9.9/32",
    labels: { app: "a" },
    profiles: ["kns.x"],
  });
  assert.equal(copyStep(rule, said, undefined), undefined);
  assert.equal(copyStep(rule, undefined, present), undefined);
  assert.deepEqual(copyStep(rule, said, present), {
    verb: "update",
    resource: {
      ...present,
      metadata: { ...present.metadata, labels: said.metadata.labels },
      spec: { ...present.spec, profiles: ["kns.x"] },
    },
  });
});

test("copyRules: names of others are nobody's copies", () => {
  const owns = (name: string) =>
    copyRules.policy.owns({ kind: "NetworkPolicy", name, namespace: "a" });
  assert.ok(owns("knp.default.web"));
  assert.ok(!owns("web"));
  assert.ok(!copyRules.namespace.owns({ kind: "Profile", name: "ksa.shop.default" }));
});

test("enabledCopies: what ENABLED_CONTROLLERS asks for, or all", () => {
  assert.deepEqual(enabledCopies(undefined), [
    "namespace",
    "policy",
    "serviceaccount",
    "workloadendpoint",
  ]);
  assert.deepEqual(enabledCopies("node, policy,NAMESPACE"), ["namespace", "policy"]);
  assert.deepEqual(enabledCopies("node,loadbalancer"), []);
  assert.throws(
    () => enabledCopies("policy,pods"),
    /Cannot accept ENABLED_CONTROLLERS "pods": it must be of/,
  );
});

test("kubernetesCopies: while Kubernetes has not said all, nothing goes", async () => {
  const datastore = new MemoryDatastore();
  const kubernetes = new MemoryDatastore();
  await datastore.create<"Profile">(profile("kns.shop"));
  await datastore.create<"NetworkPolicy">(policy("knp.default.web", {}));
  await kubernetes.create<"Profile">(profile("kns.shop"));
  await kubernetes.create<"Profile">(profile("kns.new"));
  let answers = false;
  let asked = 0;
  const source: Datastore = {
    ...bound(kubernetes),
    list: async (kind, options) => {
      if (kind === "NetworkPolicy" && !answers && ++asked > 0) {
        throw new DatastoreError("Cannot list", { code: "unavailable" });
      }
      return await kubernetes.list(kind, options);
    },
  };
  const stop = new AbortController();
  const config = { controllers: enabledCopies(undefined), periodMs: 60_000 };
  const running = kubernetesCopies(config, { source, datastore, clock: systemClock, log })(
    stop.signal,
  );
  const names = async (kind: "Profile" | "NetworkPolicy") =>
    (await datastore.list(kind)).items.map(({ metadata }) => metadata.name);
  await waitFor(() => asked >= 2);
  assert.deepEqual(await names("Profile"), ["kns.shop"]);
  assert.deepEqual(await names("NetworkPolicy"), ["knp.default.web"]);
  answers = true;
  await waitFor(async () => (await names("NetworkPolicy")).length === 0);
  await waitFor(async () => (await names("Profile")).length === 2);
  stop.abort();
  await running;
});

function bound(datastore: Datastore): Datastore {
  return {
    get: (key) => datastore.get(key),
    list: (kind, options) => datastore.list(kind, options),
    create: (resource) => datastore.create(resource),
    update: (resource) => datastore.update(resource),
    delete: (key, version) => datastore.delete(key, version),
    watch: (...args) => datastore.watch(...args),
    close: () => datastore.close(),
  };
}
