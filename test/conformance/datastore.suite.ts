import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { affinityName, cidrName } from "../../src/api/names.ts";
import type { IPPool } from "../../src/api/resources/ip-pool.ts";
import type { BlockAffinity, IPAMBlock, IPAMHandle } from "../../src/api/resources/ipam.ts";
import type { NetworkPolicy } from "../../src/api/resources/policy.ts";
import {
  type Datastore,
  isDatastoreError,
  maxWaitingEvents,
  type WatchEvent,
} from "../../src/datastore/datastore.ts";
import { groupBy } from "../../src/lib/collections.ts";
import { parsePrefix } from "../../src/lib/prefix.ts";
import { StallingProxy } from "../support/stalling-proxy.ts";
import { waitFor } from "../support/wait-for.ts";
import { deafable, FollowedKinds } from "./followed-kinds.ts";

/** What a driver's test gives to the suite. */
export interface DriverUnderTest {
  readonly name: string;
  /** A datastore that nobody has written to. Two calls give two connections to one store. */
  open(): Promise<Datastore>;
  /** Makes a watch from any revision before `revision` impossible. */
  compact(revision: string): Promise<void>;
  /** Makes policies faster than by a request each, where that takes too long. */
  createMany?(policies: readonly NetworkPolicy[]): Promise<void>;
  /** The server, where there is one. */
  readonly server?: {
    stop(signal: "SIGKILL"): Promise<void>;
    start(): Promise<void>;
    readonly endpoint: string;
  };
  /** A connection to the server at another endpoint, which gives up on a silent one soon. */
  openAt?(endpoint: string): Promise<Datastore>;
  /** Whether changes of several kinds are told in the order in which they were made. */
  readonly ordersKinds?: false;
}

const apiVersion = "projectcalico.org/v3";

export function pool(name: string, cidr: string): IPPool {
  return { apiVersion, kind: "IPPool", metadata: { name }, spec: { cidr } };
}

function policy(namespace: string, name: string): NetworkPolicy {
  return { apiVersion, kind: "NetworkPolicy", metadata: { name, namespace }, spec: {} };
}

function numbered(namespace: string, count: number): readonly NetworkPolicy[] {
  const digits = (index: number) => String(index).padStart(5, "0");
  return Array.from({ length: count }, (_, index) => policy(namespace, `many-${digits(index)}`));
}

const refusedWith = (code: Parameters<typeof isDatastoreError>[1]) => (error: unknown) =>
  isDatastoreError(error, code);

/** The same promises from every driver (src/datastore/datastore.ts). */
export function datastoreSuite(driver: DriverUnderTest): void {
  let store: Datastore;
  let other: Datastore;

  before(async () => {
    store = await driver.open();
    other = await driver.open();
  });
  after(async () => {
    await store?.close();
    await other?.close();
  });

  const it = (what: string, run: () => Promise<void>) => test(`${driver.name}: ${what}`, run);

  it("what was created is read, by another connection too", async () => {
    const created = await store.create<"IPPool">(pool("read", "10.1.0.0/16"));
    assert.ok(created.metadata.resourceVersion);
    assert.ok(created.metadata.uid);
    assert.deepEqual(await other.get({ kind: "IPPool", name: "read" }), created);
  });

  it("an absent object is not found, by get, update and delete", async () => {
    const key = { kind: "IPPool", name: "absent" } as const;
    await assert.rejects(store.get(key), refusedWith("not-found"));
    await assert.rejects(store.delete(key), refusedWith("not-found"));
    const ghost = {
      ...pool("absent", "10.2.0.0/16"),
      metadata: { name: "absent", resourceVersion: "1" },
    };
    await assert.rejects(store.update<"IPPool">(ghost), refusedWith("not-found"));
  });

  it("an object cannot be created twice", async () => {
    await store.create<"IPPool">(pool("twice", "10.3.0.0/16"));
    await assert.rejects(
      other.create<"IPPool">(pool("twice", "10.3.0.0/16")),
      refusedWith("already-exists"),
    );
  });

  it("an update or delete of an older version is a conflict, and changes nothing", async () => {
    const first = await store.create<"IPPool">(pool("versions", "10.4.0.0/16"));
    const second = await store.update<"IPPool">({
      ...first,
      spec: { ...first.spec, disabled: true },
    });
    assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion);
    await assert.rejects(store.update<"IPPool">(first), refusedWith("conflict"));
    const key = { kind: "IPPool", name: "versions" } as const;
    await assert.rejects(
      store.delete(key, first.metadata.resourceVersion),
      refusedWith("conflict"),
    );
    assert.equal((await other.get(key)).spec.disabled, true);
    await store.delete(key, second.metadata.resourceVersion);
    await assert.rejects(store.get(key), refusedWith("not-found"));
  });

  it("a list is of one kind, of one namespace if asked, in order", async () => {
    for (const [namespace, name] of [
      ["b", "y"],
      ["a", "z"],
      ["a", "x"],
    ] as const) {
      await store.create<"NetworkPolicy">(policy(namespace, name));
    }
    const names = async (namespace?: string) =>
      (await store.list("NetworkPolicy", namespace === undefined ? {} : { namespace })).items.map(
        ({ metadata }) => `${metadata.namespace}/${metadata.name}`,
      );
    assert.deepEqual(await names(), ["a/x", "a/z", "b/y"]);
    assert.deepEqual(await names("a"), ["a/x", "a/z"]);
  });

  it("unknown fields and every digit of a sequence number are kept", async () => {
    const cidr = "10.5.0.64/30";
    const block: IPAMBlock = {
      apiVersion,
      kind: "IPAMBlock",
      metadata: { name: cidrName(parsePrefix(cidr)) },
      spec: {
        cidr,
        affinity: "host:node1",
        affinityClaimTime: "2026-08-22T10:00:00Z",
        allocations: [0, null, null, null],
        unallocated: [1, 2, 3],
        attributes: [{ handle_id: "h", secondary: { node: "node1" } }],
        sequenceNumber: 1755856800000000003n,
        sequenceNumberForAllocation: { "0": 1755856800000000001n },
        ...{ future: { field: 1 } },
      },
    };
    await store.create<"IPAMBlock">(block);
    const read = await other.get({ kind: "IPAMBlock", name: block.metadata.name });
    assert.deepEqual(read.spec, block.spec);
  });

  it("an update keeps fields that it does not know, of global and namespaced kinds", async () => {
    const future = { field: 1, list: [{ deep: true }] };
    const known = { ...pool("future", "10.9.0.0/16"), spec: { cidr: "10.9.0.0/16", future } };
    await store.create<"IPPool">(known);
    const read = await other.get({ kind: "IPPool", name: "future" });
    await other.update<"IPPool">({ ...read, spec: { ...read.spec, disabled: true } });
    const { spec } = await store.get({ kind: "IPPool", name: "future" });
    assert.deepEqual(spec, { cidr: "10.9.0.0/16", disabled: true, future });

    const created = await store.create<"NetworkPolicy">({
      ...policy("a", "future"),
      spec: { order: 1, ...{ future } },
    });
    await other.update<"NetworkPolicy">({ ...created, spec: { ...created.spec, order: 2 } });
    const updated = await store.get({ kind: "NetworkPolicy", namespace: "a", name: "future" });
    assert.deepEqual(updated.spec, { order: 2, future });
    await store.delete({ kind: "NetworkPolicy", namespace: "a", name: "future" });
  });

  it("affinities and handles are found by name, also of a node that looks like a block", async () => {
    const cidr = parsePrefix("10.5.1.0/26");
    for (const node of ["node-1", "ip-10-0-0-1", "a.b.c"]) {
      const affinity: BlockAffinity = {
        apiVersion,
        kind: "BlockAffinity",
        metadata: { name: affinityName(node, cidr) },
        spec: { state: "pending", node, type: "host", cidr, deleted: false },
      };
      const created = await store.create<"BlockAffinity">(affinity);
      const key = { kind: "BlockAffinity", name: affinity.metadata.name } as const;
      assert.deepEqual((await other.get(key)).spec, affinity.spec);
      const confirmed = { ...created, spec: { ...created.spec, state: "confirmed" as const } };
      await store.update<"BlockAffinity">(confirmed);
      await store.delete(key);
    }
    const handle: IPAMHandle = {
      apiVersion,
      kind: "IPAMHandle",
      metadata: { name: "net.abc" },
      spec: { handleID: "net.abc", block: { "10.5.1.0/26": 2 }, deleted: false },
    };
    await store.create<"IPAMHandle">(handle);
    assert.deepEqual((await other.get({ kind: "IPAMHandle", name: "net.abc" })).spec, handle.spec);
  });

  it("a watch from a list's revision tells every later change, in order, of the kinds asked for", async () => {
    const { revision } = await store.list("IPPool");
    const stop = new AbortController();
    const events: WatchEvent[] = [];
    const watching = collect(
      other.watch(["IPPool", "NetworkPolicy"], revision, stop.signal),
      events,
    );
    const created = await store.create<"IPPool">(pool("watched", "10.6.0.0/16"));
    await store.create<"NetworkPolicy">(policy("w", "watched"));
    await store.update<"IPPool">({ ...created, spec: { ...created.spec, disabled: true } });
    await store.delete({ kind: "IPPool", name: "watched" });
    await store.create<"IPAMHandle">({
      apiVersion,
      kind: "IPAMHandle",
      metadata: { name: "unwatched" },
      spec: { handleID: "unwatched", block: {} },
    });
    const told = () => events.filter(({ kind }) => kind !== "progress");
    await waitFor(() => told().length >= 4, { what: "four events" });
    stop.abort();
    await watching;
    const expected = [
      "IPPool set watched",
      "NetworkPolicy set watched",
      "IPPool set watched",
      "IPPool deleted watched",
    ];
    const heard = told().map((event) =>
      "key" in event ? `${event.key.kind} ${event.kind} ${event.key.name}` : "",
    );
    const byKind = (texts: readonly string[]) => groupBy(texts, (text) => text.split(" ")[0]);
    if (driver.ordersKinds === false) assert.deepEqual(byKind(heard), byKind(expected));
    else assert.deepEqual(heard, expected);
    const revisions = told().map((event) => BigInt(event.revision));
    assert.deepEqual(
      revisions,
      revisions.toSorted((a, b) => Number(a - b)),
    );
  });

  it("a watch resumes where another ended", async () => {
    const { revision } = await store.list("IPPool");
    for (const index of [1, 2, 3])
      await store.create<"IPPool">(pool(`resume-${index}`, `10.7.${index}.0/24`));
    const stop = new AbortController();
    const first: WatchEvent[] = [];
    for await (const event of store.watch(["IPPool"], revision, stop.signal)) {
      if (event.kind === "progress") continue;
      first.push(event);
      break;
    }
    const rest: WatchEvent[] = [];
    const watching = collect(store.watch(["IPPool"], first[0]?.revision ?? "", stop.signal), rest);
    await waitFor(() => rest.filter(({ kind }) => kind === "set").length >= 2);
    stop.abort();
    await watching;
    assert.deepEqual(
      rest.flatMap((event) => ("key" in event ? [event.key.name] : [])),
      ["resume-2", "resume-3"],
    );
  });

  it("a list of 10,000 objects is whole", async () => {
    const policies = numbered("many", 10_000);
    await (driver.createMany ?? createEach)(policies);
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
    await createEach(policies);
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

  async function createEach(policies: readonly NetworkPolicy[]): Promise<void> {
    for (let start = 0; start < policies.length; start += 50) {
      const some = policies.slice(start, start + 50);
      await Promise.all(some.map((one) => store.create<"NetworkPolicy">(one)));
    }
  }

  it("concurrent compare-and-swaps on one object lose none", async () => {
    await store.create<"IPAMHandle">({
      apiVersion,
      kind: "IPAMHandle",
      metadata: { name: "counter" },
      spec: { handleID: "counter", block: { "10.0.0.0/26": 0 } },
    });
    await Promise.all([store, other, store, other].map((datastore) => countUp(datastore, 25)));
    const { spec } = await store.get({ kind: "IPAMHandle", name: "counter" });
    assert.equal(spec.block["10.0.0.0/26"], 100);
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

async function collect(watch: AsyncIterable<WatchEvent>, into: WatchEvent[]): Promise<void> {
  for await (const event of watch) into.push(event);
}

async function countUp(datastore: Datastore, times: number): Promise<void> {
  for (let done = 0; done < times; ) {
    const handle = await datastore.get({ kind: "IPAMHandle", name: "counter" });
    const count = handle.spec.block["10.0.0.0/26"] ?? 0;
    try {
      await datastore.update<"IPAMHandle">({
        ...handle,
        spec: { ...handle.spec, block: { "10.0.0.0/26": count + 1 } },
      });
      done++;
    } catch (error) {
      if (!isDatastoreError(error, "conflict")) throw error;
    }
  }
}
