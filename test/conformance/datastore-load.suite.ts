import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetworkPolicy } from "../../src/api/resources/policy.ts";
import {
  type Datastore,
  isDatastoreError,
  maxWaitingEvents,
} from "../../src/datastore/datastore.ts";
import { StallingProxy } from "../support/stalling-proxy.ts";
import {
  collect,
  connectTwice,
  type DriverUnderTest,
  policy,
  pool,
  refusedWith,
} from "./datastore.suite.ts";
import { deafable, FollowedKinds } from "./followed-kinds.ts";

/** What every driver promises of many objects, of slow receivers, and while its server fails. */
export async function datastoreLoadSuite(driver: DriverUnderTest): Promise<void> {
  const [store, other] = await connectTwice(driver);
  const it = (what: string, run: () => Promise<void>) => test(`${driver.name}: ${what}`, run);
  const createMany: NonNullable<DriverUnderTest["createMany"]> =
    driver.createMany ?? ((policies) => createAll(store, policies));

  it("a list of 10,000 objects is whole", async () => {
    const policies = numbered("many", 10_000);
    await createMany(policies, "shared");
    const { items } = await other.list("NetworkPolicy", { namespace: "many" });
    assert.deepEqual(
      items.map(({ metadata }) => metadata.name),
      policies.map(({ metadata }) => metadata.name),
    );
  });

  it("a receiver that sleeps hears of every change, or that it does not", async () => {
    const policies = numbered("w", maxWaitingEvents * 2.5);
    const { revision } = await store.list("NetworkPolicy");
    const stop = new AbortController();
    const sleeper = other.watch(["NetworkPolicy"], revision, stop.signal)[Symbol.asyncIterator]();
    const first = sleeper.next();
    await createMany(policies, "one each");
    const heard = new Set<string>();
    let failure: unknown;
    try {
      for (let next = first; heard.size < policies.length; next = sleeper.next()) {
        const { value: event } = await next;
        if (event === undefined) break;
        if ("key" in event) heard.add(event.key.name);
      }
    } catch (error) {
      failure = error;
    }
    const told = isDatastoreError(failure, "compacted") || isDatastoreError(failure, "unavailable");
    assert.ok(heard.size === policies.length || told, `${heard.size} heard, then ${failure}`);
    stop.abort();
    await sleeper.return?.();
  });

  it("what was deleted while nobody listened, and is forgotten, is found by listing again", async () => {
    await store.create<"IPPool">(pool("gone", "10.8.1.0/24"));
    await store.create<"IPPool">(pool("stays", "10.8.2.0/24"));
    const deaf = deafable(other);
    const followed = new FollowedKinds(["IPPool", "NetworkPolicy"], deaf.datastore);
    await followed.inSync();
    deaf.stopListening();
    const { revision } = await store.list("IPPool");
    await store.delete({ kind: "IPPool", name: "gone" });
    await store.create<"IPPool">(pool("new", "10.8.3.0/24"));
    await driver.compact((await store.list("IPPool")).revision);
    await assert.rejects(
      collect(store.watch(["IPPool"], revision, AbortSignal.timeout(60_000)), []),
      refusedWith("compacted"),
    );
    assert.deepEqual(followed.withdrawn, []);
    deaf.listenAgain();
    await followed.tells("new", true);
    await followed.tells("gone", false);
    assert.deepEqual(followed.withdrawn, ["gone"]);
    await followed.end();
  });

  const { server, openAt } = driver;
  if (server === undefined || openAt === undefined) return;
  it("a server that dies in mid-watch costs nothing: no change is lost, nothing is withdrawn", async () => {
    await store.create<"IPPool">(pool("before", "10.10.1.0/24"));
    const connection = await driver.open();
    const followed = new FollowedKinds(["IPPool", "NetworkPolicy"], connection);
    await followed.inSync();
    await server.stop("SIGKILL");
    await followed.watchFailed();
    assert.deepEqual(followed.withdrawn, []);
    await server.start();
    const writer = await driver.open();
    await writer.create<"IPPool">(pool("after", "10.10.2.0/24"));
    await followed.tells("after", true);
    await writer.delete({ kind: "IPPool", name: "before" });
    await followed.tells("before", false);
    assert.deepEqual(followed.withdrawn, ["before"]);
    assert.equal(followed.statuses.at(-1), "in-sync");
    await followed.end();
    await Promise.all([connection.close(), writer.close()]);
  });

  it("a half-open connection is noticed, and nothing is lost by it", async () => {
    const url = new URL(server.endpoint);
    const proxy = await StallingProxy.start(Number(url.port));
    url.port = String(proxy.port);
    const connection = await openAt(url.origin);
    const followed = new FollowedKinds(["IPPool"], connection);
    try {
      await followed.inSync();
      proxy.stall();
      await store.create<"IPPool">(pool("unheard", "10.11.1.0/24"));
      await followed.watchFailed();
      assert.deepEqual(followed.withdrawn, []);
      proxy.forwardNew();
      await followed.tells("unheard", true);
    } finally {
      proxy.close();
      await followed.end();
      await connection.close();
    }
  });
}

function numbered(namespace: string, count: number): readonly NetworkPolicy[] {
  const digits = (index: number) => String(index).padStart(5, "0");
  return Array.from({ length: count }, (_, index) => policy(namespace, `many-${digits(index)}`));
}

async function createAll(store: Datastore, policies: readonly NetworkPolicy[]): Promise<void> {
  for (let start = 0; start < policies.length; start += 50) {
    const some = policies.slice(start, start + 50);
    await Promise.all(some.map((one) => store.create<"NetworkPolicy">(one)));
  }
}
