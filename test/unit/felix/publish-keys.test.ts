import { strict as assert } from "node:assert";
import { test } from "node:test";
import { KeyPublisher } from "../../../src/felix/publish-keys.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { clusterInformation, node } from "../../states/resources.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { waitFor } from "../../support/wait-for.ts";

const key = { kind: "Node", name: "node-a" } as const;
const log = createLogger({ name: "felix", level: "silent" });

test("a node's public keys come to its status, change there, and go", async () => {
  const datastore = new MemoryDatastore();
  await datastore.create({
    ...node("node-a", "192.168.1.11/24"),
    status: { podCIDRs: ["10.0.0.0/24"] },
  });
  const publisher = new KeyPublisher("node-a", { datastore, log, clock: systemClock });
  const stop = new AbortController();
  const running = publisher.run(stop.signal);
  const becomes = (what: string, wanted: object) =>
    waitFor(
      async () => {
        const { status } = await datastore.get(key);
        return JSON.stringify(status) === JSON.stringify(wanted);
      },
      { timeoutMs: 20_000, what },
    );
  const podCIDRs = ["10.0.0.0/24"];
  publisher.tell({ own: { 4: "a", 6: "b" }, stored: {} });
  await becomes("both keys", { podCIDRs, wireguardPublicKey: "a", wireguardPublicKeyV6: "b" });
  publisher.tell({ own: { 4: "c" }, stored: { 4: "a", 6: "b" } });
  await becomes("another key", { podCIDRs, wireguardPublicKey: "c" });
  const { metadata } = await datastore.get(key);
  publisher.tell({ own: { 4: "c" }, stored: { 4: "c" } });
  publisher.tell({ own: {}, stored: { 4: "c" } });
  await becomes("no key", { podCIDRs });
  assert.notEqual((await datastore.get(key)).metadata.resourceVersion, metadata.resourceVersion);
  stop.abort();
  await running;
});

test("a datastore that fails is tried again", async () => {
  const datastore = new MemoryDatastore();
  const publisher = new KeyPublisher("node-a", { datastore, log, clock: systemClock });
  const stop = new AbortController();
  const running = publisher.run(stop.signal);
  publisher.tell({ own: { 4: "a" }, stored: {} });
  await datastore.create(node("node-a", "192.168.1.11/24"));
  await waitFor(async () => (await datastore.get(key)).status?.wireguardPublicKey === "a", {
    timeoutMs: 20_000,
    what: "the key",
  });
  stop.abort();
  await running;
});

test("a key is not written while the datastore is locked", async () => {
  const datastore = new MemoryDatastore();
  await datastore.create(node("node-a", "192.168.1.11/24"));
  const info = await datastore.create<"ClusterInformation">(clusterInformation(false));
  let looks = 0;
  const get = datastore.get.bind(datastore);
  datastore.get = (wanted) => {
    if (wanted.kind === "ClusterInformation") looks++;
    return get(wanted);
  };
  const publisher = new KeyPublisher("node-a", { datastore, log, clock: systemClock });
  const stop = new AbortController();
  const running = publisher.run(stop.signal);
  publisher.tell({ own: { 4: "a" }, stored: {} });
  await waitFor(() => looks >= 2, { timeoutMs: 20_000, what: "the second look at the lock" });
  assert.equal((await datastore.get(key)).status, undefined);
  await datastore.update<"ClusterInformation">({ ...info, spec: { datastoreReady: true } });
  await waitFor(async () => (await datastore.get(key)).status?.wireguardPublicKey === "a", {
    timeoutMs: 20_000,
    what: "the key",
  });
  stop.abort();
  await running;
});
