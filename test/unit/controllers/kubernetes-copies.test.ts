import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CopyController,
  copyRules,
  copyStep,
  enabledCopies,
} from "../../../src/controllers/kubernetes-copies/copy-rules.ts";
import { kubernetesCopies } from "../../../src/controllers/kubernetes-copies/kubernetes-copies.ts";
import { type Datastore, DatastoreError } from "../../../src/datastore/datastore.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { clusterInformation, pod, policy, profile } from "../../states/resources.ts";
import { FakeClock } from "../../support/fake-clock.ts";
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

/** What the controller makes of a datastore, by a clock that the test moves. */
function running(
  controllers: readonly CopyController[],
  { source, datastore }: { readonly source: Datastore; readonly datastore: Datastore },
) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const config = { controllers, periodMs: 300_000 };
  const ended = kubernetesCopies(config, { source, datastore, clock, log })(stop.signal);
  return {
    pass: (seconds: number) => clock.advanceSlowly(seconds * 1000, 100),
    end: async () => {
      stop.abort();
      await ended;
    },
  };
}

test("kubernetesCopies: nothing is written before it is known what etcd has, nor while it is locked", async () => {
  const source = new MemoryDatastore([profile("kns.shop")]);
  const datastore = new MemoryDatastore([profile("kns.old"), clusterInformation(false)]);
  const before = datastore.contents();
  const { pass, end } = running(["namespace"], { source, datastore });
  await pass(40);
  assert.deepEqual(datastore.contents(), before);
  const lock = await datastore.get({ kind: "ClusterInformation", name: "default" });
  await datastore.update<"ClusterInformation">({ ...lock, spec: { datastoreReady: true } });
  await pass(40);
  assert.deepEqual(await profilesOf(datastore), ["kns.shop"]);
  await end();

  let writes = 0;
  const unread: Datastore = {
    ...bound(datastore),
    list: () => Promise.reject(new DatastoreError("Cannot list", { code: "unavailable" })),
    create: async (resource) => {
      writes++;
      return await datastore.create(resource);
    },
  };
  await source.create<"Profile">(profile("kns.more"));
  const blind = running(["namespace"], { source, datastore: unread });
  await blind.pass(40);
  assert.equal(writes, 0);
  await blind.end();
});

test("kubernetesCopies: what others have is left alone, and a write that failed is tried again", async () => {
  const source = new MemoryDatastore([profile("kns.shop"), profile("ksa.shop.default")]);
  const others = ["ksa.shop.old", "mine"];
  const datastore = new MemoryDatastore(["kns.gone", ...others].map((name) => profile(name)));
  const versions: (string | undefined)[] = [];
  const target: Datastore = {
    ...bound(datastore),
    delete: async (key, version) => {
      versions.push(version);
      await datastore.delete(key, version);
    },
  };
  datastore.next("create", new DatastoreError("Cannot write", { code: "unavailable" }));
  const { pass, end } = running(["namespace"], { source, datastore: target });
  await pass(10);
  assert.deepEqual(await profilesOf(datastore), ["kns.shop", ...others]);
  // Whoever led in between may have written it: then it stays.
  assert.deepEqual(versions, ["1"]);
  await end();
});

async function profilesOf(datastore: Datastore): Promise<string[]> {
  return (await datastore.list("Profile")).items.map(({ metadata }) => metadata.name);
}

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
