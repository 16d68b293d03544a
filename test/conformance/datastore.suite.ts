import assert from "node:assert/strict";
import { after, test } from "node:test";
import { affinityName, cidrName } from "../../src/api/names.ts";
import type { IPPool } from "../../src/api/resources/ip-pool.ts";
import type { BlockAffinity, IPAMBlock, IPAMHandle } from "../../src/api/resources/ipam.ts";
import type { NetworkPolicy } from "../../src/api/resources/policy.ts";
import {
  type Datastore,
  isDatastoreError,
  type WatchEvent,
} from "../../src/datastore/datastore.ts";
import { newAffinity } from "../../src/ipam/block-affinity.ts";
import { groupBy } from "../../src/lib/collections.ts";
import { parsePrefix } from "../../src/lib/prefix.ts";
import { waitFor } from "../support/wait-for.ts";

/** What a driver's test gives to the suite. */
export interface DriverUnderTest {
  readonly name: string;
  /** A datastore that nobody has written to. Two calls give two connections to one store. */
  open(): Promise<Datastore>;
  /** Makes a watch from any revision before `revision` impossible. */
  compact(revision: string): Promise<void>;
  /** Makes policies faster than the driver does, where that takes long. A watcher is told of each revision once. */
  createMany?(policies: readonly NetworkPolicy[], revisions: "one each" | "shared"): Promise<void>;
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
const affineBlock = parsePrefix("10.85.0.0/26");

export function pool(name: string, cidr: string): IPPool {
  return { apiVersion, kind: "IPPool", metadata: { name }, spec: { cidr } };
}

export function policy(namespace: string, name: string): NetworkPolicy {
  return { apiVersion, kind: "NetworkPolicy", metadata: { name, namespace }, spec: {} };
}

export function refusedWith(
  code: Parameters<typeof isDatastoreError>[1],
): (error: unknown) => boolean {
  return (error) => isDatastoreError(error, code);
}

/** Two connections to a driver's store, closed after the tests. */
export async function connectTwice(
  driver: DriverUnderTest,
): Promise<readonly [store: Datastore, other: Datastore]> {
  const connections = [await driver.open(), await driver.open()] as const;
  after(() => Promise.all(connections.map((each) => each.close())));
  return connections;
}

/** The same promises from every driver (src/datastore/datastore.ts). */
export async function datastoreSuite(driver: DriverUnderTest): Promise<void> {
  const [store, other] = await connectTwice(driver);

  const it = (what: string, run: () => Promise<void>) => test(`${driver.name}: ${what}`, run);

  it("of several creations at once all take place, or none", async () => {
    if (store.createAll === undefined) return;
    const both = [pool("all-1", "10.81.0.0/16"), pool("all-2", "10.82.0.0/16")];
    const created = await store.createAll(both);
    for (const { metadata } of both) {
      const found = await other.get({ kind: "IPPool", name: metadata.name });
      assert.deepEqual(
        found,
        created.find((each) => each.metadata.name === metadata.name),
      );
    }
    const next = [pool("all-3", "10.83.0.0/16"), ...both];
    await assert.rejects(store.createAll(next), refusedWith("already-exists"));
    await assert.rejects(other.get({ kind: "IPPool", name: "all-3" }), refusedWith("not-found"));
    for (const { metadata } of both) await store.delete({ kind: "IPPool", name: metadata.name });
  });

  it("names are those of the objects that a list gives", async () => {
    const created = await store.create<"IPPool">(pool("named", "10.84.0.0/16"));
    const { items } = await store.list("IPPool");
    const names = (await store.names?.("IPPool")) ?? items.map(({ metadata }) => metadata.name);
    assert.deepEqual(
      names.toSorted(),
      items.map(({ metadata }) => metadata.name),
    );
    await store.delete({ kind: "IPPool", name: created.metadata.name });
  });

  it("affinities are listed, at least those of the node that is asked for", async () => {
    for (const node of ["listed", "listed-2"]) {
      await store.create<"BlockAffinity">(newAffinity(node, affineBlock, "confirmed"));
    }
    const { items } = await other.list("BlockAffinity", { node: "listed" });
    const ofNode = items.filter(({ spec }) => spec.node === "listed");
    assert.deepEqual(
      ofNode.map(({ metadata }) => metadata.name),
      [affinityName("listed", affineBlock)],
    );
    for (const node of ["listed", "listed-2"]) {
      await store.delete({ kind: "BlockAffinity", name: affinityName(node, affineBlock) });
    }
  });

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
    await other.update<"NetworkPolicy">({
      ...created,
      spec: { ...created.spec, order: 2 },
    });
    const updated = await store.get({
      kind: "NetworkPolicy",
      namespace: "a",
      name: "future",
    });
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
    await store.update<"IPPool">({
      ...created,
      spec: { ...created.spec, disabled: true },
    });
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
}

export async function collect(watch: AsyncIterable<WatchEvent>, into: WatchEvent[]): Promise<void> {
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
