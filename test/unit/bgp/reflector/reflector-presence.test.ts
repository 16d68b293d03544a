import assert from "node:assert/strict";
import { test } from "node:test";
import { leaseNamespace } from "../../../../src/api/leases.ts";
import {
  reflectorLabel,
  reflectorLeaseKey,
  reflectorPeer,
} from "../../../../src/api/reflector-peer.ts";
import type { Lease } from "../../../../src/api/resources/kubernetes.ts";
import {
  reflectorHealth,
  reflectorIdentity,
} from "../../../../src/bgp/reflector/reflector-environment.ts";
import { reflectorPresence } from "../../../../src/bgp/reflector/reflector-presence.ts";
import { reflectorUnready } from "../../../../src/bgp/reflector/reflector-readiness.ts";
import { reflectorController } from "../../../../src/controllers/reflector-controller.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { FakeDatastore, failure } from "../../ipam/fake-datastore.ts";

const log = createLogger({ name: "test", level: "silent" });
const env = { POD_NAME: "rr-1", NODE_IPS: "10.0.0.1,fd00::1" };
const identity = reflectorIdentity(env);

test("a reflector's presence is a Lease and a BGPPeer a family, put right, and taken back at its end", async () => {
  const clock = new FakeClock();
  const datastore = new FakeDatastore();
  const stop = new AbortController();
  const ended = reflectorPresence(identity, { datastore, clock, log })(stop.signal);
  await clock.advanceSlowly(1_000, 100);
  const peers = async () => (await datastore.list("BGPPeer")).items;
  const told = async () => (await peers()).map(({ spec }) => spec.peerIP);
  assert.deepEqual(await told(), ["10.0.0.1:1790", "[fd00::1]:1790"]);
  const renewed = async () =>
    (await datastore.get<"Lease">(reflectorLeaseKey("rr-1"))).spec.renewTime;
  const before = await renewed();

  const [first] = await peers();
  assert.ok(first !== undefined);
  await datastore.update<"BGPPeer">({ ...first, spec: { peerIP: "10.0.0.9" } });
  await datastore.delete({ kind: "BGPPeer", name: "rr-1-v6" });
  await clock.advanceSlowly(16_000, 100);
  assert.deepEqual(await told(), ["10.0.0.1:1790", "[fd00::1]:1790"]);
  // An API server gives a Lease that is written as it was no new version.
  assert.notEqual(await renewed(), before);

  stop.abort();
  await ended;
  assert.deepEqual(await told(), []);
  await assert.rejects(datastore.get(reflectorLeaseKey("rr-1")), { code: "not-found" });
});

test("a reflector leaves a BGPPeer of its name alone that somebody else wrote", async () => {
  const clock = new FakeClock();
  const datastore = new FakeDatastore();
  const stop = new AbortController();
  const own = reflectorPeer("rr-1", "10.0.0.1", 1790);
  const theirs = { ...own, metadata: { name: "rr-1-v4" }, spec: { peerIP: "10.0.0.9" } };
  await datastore.create<"BGPPeer">(theirs);
  const ended = reflectorPresence(identity, { datastore, clock, log })(stop.signal);
  const told = async () =>
    (await datastore.list("BGPPeer")).items.map(({ spec }) => spec.peerIP).sort();
  await clock.advanceSlowly(5_000, 100);
  assert.deepEqual(await told(), ["10.0.0.9"]);
  // Once it is gone, the name is free.
  await datastore.delete({ kind: "BGPPeer", name: "rr-1-v4" });
  await clock.advanceSlowly(5_000, 100);
  assert.deepEqual(await told(), ["10.0.0.1:1790", "[fd00::1]:1790"]);
  await datastore.delete({ kind: "BGPPeer", name: "rr-1-v4" });
  await datastore.create<"BGPPeer">(theirs);
  stop.abort();
  await ended;
  assert.deepEqual(await told(), ["10.0.0.9"]);
});

test("the controller takes away what a dead reflector left, never a living one's or a person's", async () => {
  const clock = new FakeClock();
  let isCut = false;
  const shared = new FakeDatastore();
  const datastore = new FakeDatastore({}, shared);
  const list = datastore.list.bind(datastore);
  datastore.list = (async (...args: Parameters<typeof list>) => {
    if (isCut) throw failure("conflict", { kind: "BGPPeer", name: "any" });
    return await list(...args);
  }) as typeof datastore.list;
  const [stop, life] = [new AbortController(), new AbortController()];
  const living = reflectorPresence(identity, { datastore: shared, clock, log })(life.signal);
  await shared.create<"BGPPeer">(reflectorPeer("rr-dead", "10.0.0.2", 1790));
  const { apiVersion, kind } = reflectorPeer("any", "10.0.0.3", 179);
  const spec = { peerIP: "10.0.0.3" };
  await shared.create<"BGPPeer">({ apiVersion, kind, metadata: { name: "person" }, spec });
  const ended = reflectorController({ datastore, clock, log })(stop.signal);
  const names = async () =>
    (await shared.list("BGPPeer")).items.map(({ metadata }) => metadata.name).sort();
  // The living one would make its BGPPeer anew, if it were taken away.
  const version = async () =>
    (await shared.get({ kind: "BGPPeer", name: "rr-1-v4" })).metadata.resourceVersion;
  await clock.advanceSlowly(40_000, 500);
  const first = await version();
  // Who cannot look has seen nothing: the time begins anew.
  isCut = true;
  await clock.advanceSlowly(30_000, 500);
  isCut = false;
  await clock.advanceSlowly(30_000, 500);
  assert.deepEqual(await names(), ["person", "rr-1-v4", "rr-1-v6", "rr-dead-v4"]);
  await clock.advanceSlowly(60_000, 500);
  assert.deepEqual(await names(), ["person", "rr-1-v4", "rr-1-v6"]);
  assert.equal(await version(), first);
  life.abort();
  stop.abort();
  await Promise.all([living, ended]);
});

test("the controller takes away the Lease of a reflector that was killed without a BGPPeer, and no other Lease", async () => {
  const clock = new FakeClock();
  const datastore = new FakeDatastore();
  const stop = new AbortController();
  const lease = (name: string, labels?: Record<string, string>): Lease => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace: leaseNamespace, ...(labels && { labels }) },
    spec: { holderIdentity: "any" },
  });
  const { name: ofDead } = reflectorLeaseKey("rr-dead");
  await datastore.create<"Lease">(lease(ofDead, { [reflectorLabel]: "rr-dead" }));
  await datastore.create<"Lease">(lease("tortie-controllers"));
  const ended = reflectorController({ datastore, clock, log })(stop.signal);
  await clock.advanceSlowly(50_000, 500);
  const names = async () =>
    (await datastore.list("Lease")).items.map(({ metadata }) => metadata.name).sort();
  assert.deepEqual(await names(), ["tortie-controllers", ofDead]);
  await clock.advanceSlowly(40_000, 500);
  assert.deepEqual(await names(), ["tortie-controllers"]);
  stop.abort();
  await ended;
});

test("a reflector ends in time also when the datastore does not answer", async () => {
  const clock = new FakeClock();
  const datastore = new FakeDatastore();
  const stop = new AbortController();
  let isOver = false;
  const ended = reflectorPresence(identity, { datastore, clock, log })(stop.signal).then(() => {
    isOver = true;
  });
  await clock.advanceSlowly(1_000, 100);
  datastore.get = () => new Promise(() => undefined);
  stop.abort();
  await clock.advanceSlowly(9_500, 500);
  assert.equal(isOver, false);
  await clock.advanceSlowly(1_000, 500);
  await ended;
});

test("reflectorIdentity() and reflectorHealth() name what is wrong", () => {
  assert.deepEqual(
    { ...identity, clusterId: identity.clusterId.toString(16) },
    { name: "rr-1", addresses: ["10.0.0.1", "fd00::1"], port: 1790, clusterId: "f4000001" },
  );
  const many = reflectorIdentity({ ...env, NODE_IPS: "fd00::1, 10.0.0.1,10.0.0.2,fd00::2" });
  assert.deepEqual(many.addresses, ["fd00::1", "10.0.0.1"]);
  assert.throws(() => reflectorIdentity({ ...env, POD_NAME: "" }), /POD_NAME ""/);
  assert.throws(() => reflectorIdentity({ ...env, NODE_IPS: "10.0.0.1," }), /NODE_IPS "10.0.0.1,"/);
  const port = { ...env, TORTIE_REFLECTOR_PORT: "70000" };
  assert.throws(() => reflectorIdentity(port), /TORTIE_REFLECTOR_PORT "70000"/);
  const cluster = { ...env, TORTIE_REFLECTOR_CLUSTER_ID: "1" };
  assert.throws(() => reflectorIdentity(cluster), /TORTIE_REFLECTOR_CLUSTER_ID "1"/);
  assert.equal(reflectorHealth({}), undefined);
  assert.deepEqual(reflectorHealth({ TORTIE_REFLECTOR_HEALTH: "[::1]:9179" }), {
    host: "::1",
    port: 9179,
  });
  assert.throws(() => reflectorHealth({ TORTIE_REFLECTOR_HEALTH: "9179" }), /HEALTH "9179"/);
});

test("a reflector is ready with all clients, or after a minute with one", () => {
  const sessions = (established: number) => ({ configured: true, clients: 3, established });
  assert.match(reflectorUnready({ ...sessions(3), configured: false }, 0), /datastore/);
  assert.equal(reflectorUnready(sessions(3), 0), "");
  assert.match(reflectorUnready(sessions(2), 59_999), /2 of 3/);
  assert.equal(reflectorUnready(sessions(1), 60_000), "");
  assert.match(reflectorUnready(sessions(0), 60_000), /0 of 3/);
});
