import assert from "node:assert/strict";
import { test } from "node:test";
import { pathKeyAnnotation } from "../../../src/api/path-checks.ts";
import type { Node } from "../../../src/api/resources/node.ts";
import { runSyncer } from "../../../src/datastore/reflector.ts";
import { systemClock as clock } from "../../../src/lib/clock.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { Announcement } from "../../../src/paths/announcement.ts";
import { withPathKey } from "../../../src/paths/own-node.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { waitFor } from "../../support/wait-for.ts";

const log = createLogger({ name: "test", level: "silent" });
const node: Node = {
  apiVersion: "projectcalico.org/v3",
  kind: "Node",
  metadata: { name: "node1" },
  spec: {},
};

test("the key is in the Node again when somebody took it away, or made the Node anew", async (t) => {
  const datastore = new MemoryDatastore([node]);
  const ports = { nodeName: "node1", datastore, clock, log };
  const announcement = new Announcement(ports, (read) => withPathKey(read, "key"));
  const stop = new AbortController();
  const callbacks = {
    onUpdates: (updates: Parameters<Announcement["learn"]>[0]) => announcement.learn(updates),
    onStatus: () => undefined,
  };
  const running = [
    announcement.run(stop.signal),
    runSyncer({ kinds: ["Node"] }, { datastore, clock, callbacks }, stop.signal),
  ];
  t.after(async () => {
    stop.abort();
    await Promise.all(running);
  });
  const read = () => datastore.get<"Node">({ kind: "Node", name: "node1" });
  const hasKey = async () => (await read()).metadata.annotations?.[pathKeyAnnotation] === "key";
  await waitFor(hasKey);
  await datastore.update<"Node">(withPathKey(await read(), undefined));
  await waitFor(hasKey);
  await datastore.delete<"Node">({ kind: "Node", name: "node1" });
  await datastore.create<"Node">(node);
  await waitFor(hasKey);
});

test("what needs no change is said as soon as all is known", async () => {
  const datastore = new MemoryDatastore([node]);
  const announcement = new Announcement(
    { nodeName: "node1", datastore, clock, log },
    (read) => read,
  );
  announcement.learn([{ key: { kind: "Node", name: "node1" }, value: node }]);
  announcement.learned();
  await announcement.said;
  assert.equal((await datastore.list("Node")).revision, "1");
});
