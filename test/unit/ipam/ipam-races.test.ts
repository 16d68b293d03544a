import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf, type ResourceKey } from "../../../src/api/resource-key.ts";
import type { IPPool } from "../../../src/api/resources/ip-pool.ts";
import { type Datastore, DatastoreError } from "../../../src/datastore/datastore.ts";
import { newAffinity } from "../../../src/ipam/block-affinity.ts";
import { BlockMemory } from "../../../src/ipam/block-memory.ts";
import { claimBlock } from "../../../src/ipam/claims.ts";
import type { Ipam } from "../../../src/ipam/ipam.ts";
import { IpamError } from "../../../src/ipam/ipam-error.ts";
import { IpamRecords } from "../../../src/ipam/ipam-records.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { errorMessage } from "../../../src/lib/errors.ts";
import { KeyedLock } from "../../../src/lib/keyed-lock.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "./cluster.ts";
import { FakeDatastore, failure, type WriteFaults } from "./fake-datastore.ts";

const pools: readonly IPPool[] = [pool("v4", { cidr: "10.0.0.0/25", blockSize: 29 })];
const pod = (handle: string, node: string) =>
  ({ handle, attributes: { pod: handle }, node, use: "Workload", num4: 1 }) as const;

/** A small generator of numbers from 0 to 1, so that a failing seed can be run again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

for (const seed of [1, 2, 3, 4]) {
  test(`allocators with conflicts at random give no address twice and lose none (${seed})`, async () => {
    const chance = random(seed);
    const conflicts = {
      before: (op: string, key: ResourceKey) => {
        if (op === "create" && chance() < 0.05) throw failure("already-exists", key);
        if (op !== "create" && chance() < 0.15) throw failure("conflict", key);
      },
    };
    const shared = new FakeDatastore();
    await createCluster(shared, { pools });
    const held = new Map<string, string>();
    // Two processes on each of three nodes: the CNI agent and the tunnel allocator, say.
    const workers = Array.from({ length: 6 }, (_, i) =>
      work(ipamOn(new FakeDatastore(conflicts, shared)), `node${i % 3}`, { chance, held, i }),
    );
    await Promise.all(workers);
    assert.equal((await inUse(shared)).size, held.size);
    await checkInvariants(shared, { exact: true });
  });
}

async function work(
  ipam: Ipam,
  node: string,
  world: { readonly chance: () => number; readonly held: Map<string, string>; readonly i: number },
): Promise<void> {
  const mine: string[] = [];
  for (let round = 0; round < 25; round++) {
    const victim = world.chance() < 0.4 ? mine.shift() : undefined;
    if (victim !== undefined) {
      for (const [address, handle] of world.held) {
        if (handle === victim) world.held.delete(address);
      }
      await ipam.releaseByHandle(victim);
      continue;
    }
    const handle = `w${world.i}-${round}`;
    try {
      const [assigned] = await ipam.autoAssign(pod(handle, node));
      assert.ok(assigned !== undefined);
      assert.ok(!world.held.has(assigned.address), `${assigned.address} given twice`);
      world.held.set(assigned.address, handle);
      mine.push(handle);
    } catch (error) {
      assert.ok(error instanceof IpamError && error.code === "pool-exhausted", String(error));
    }
  }
}

test("a write whose outcome is unknown may have happened: the handle keeps counting it", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  let answers = true;
  const silent = new FakeDatastore(
    {
      after: (op, key) => {
        if (op !== "update" || key.kind !== "IPAMBlock" || !answers) return;
        answers = false;
        throw new DatastoreError("Cannot reach the server", { code: "unavailable" });
      },
    },
    shared,
  );
  await assert.rejects(ipamOn(silent).autoAssign(pod("a", "node1")), /Cannot reach the server/);
  assert.equal((await inUse(shared)).size, 1);
  await checkInvariants(shared, { exact: false });
  assert.equal((await ipamOn(shared).releaseByHandle("a")).length, 1);
  await checkInvariants(shared, { exact: true });
});

test("a release between the two writes of an assignment does not make its handle forget", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  let goOn = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  let arrived = (): void => undefined;
  const atGate = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const slow = new FakeDatastore(
    {
      before: (op, key) => {
        if (op !== "update" || key.kind !== "IPAMBlock") return undefined;
        arrived();
        return gate;
      },
    },
    shared,
  );
  const assigning = ipamOn(slow).autoAssign(pod("a", "node1"));
  await atGate;
  assert.deepEqual(await ipamOn(shared).releaseByHandle("a"), []);
  goOn();
  assert.equal((await assigning).length, 1);
  await checkInvariants(shared, { exact: true });
});

class Crash extends Error {}

/** A process that dies at its `at`-th write, before or after the write took place. */
function dying(
  shared: FakeDatastore,
  at: number,
  {
    moment,
    createsTogether,
  }: { readonly moment: "before" | "after"; readonly createsTogether: boolean },
): Datastore {
  let writes = 0;
  const die = () => {
    if (writes >= at) throw new Crash(`at write ${at}`);
  };
  const view = new FakeDatastore(
    {
      before: () => {
        if (moment === "after") die();
        writes++;
        if (moment === "before") die();
      },
      after: die,
      createsTogether,
    },
    shared,
  );
  return view;
}

interface Scenario {
  readonly name: string;
  prepare?(ipam: Ipam): Promise<unknown>;
  act(ipam: Ipam): Promise<unknown>;
}

const scenarios: readonly Scenario[] = [
  { name: "a first assignment", act: (ipam) => ipam.autoAssign(pod("a", "node1")) },
  {
    name: "three assignments at once",
    prepare: (ipam) => ipam.autoAssign(pod("first", "node1")),
    act: (ipam) => allOf(["a", "b", "c"].map((handle) => ipam.autoAssign(pod(handle, "node1")))),
  },
  {
    name: "an assignment of several blocks",
    act: (ipam) => ipam.autoAssign({ ...pod("a", "node1"), num4: 20 }),
  },
  {
    name: "a release",
    prepare: (ipam) => ipam.autoAssign({ ...pod("a", "node1"), num4: 10 }),
    act: (ipam) => ipam.releaseByHandle("a"),
  },
  {
    name: "a host's end",
    prepare: async (ipam) => {
      await ipam.autoAssign({ ...pod("b", "node1"), num4: 8 });
      await ipam.autoAssign({ ...pod("a", "node1"), num4: 12 });
      await ipam.releaseByHandle("b");
    },
    act: (ipam) => ipam.releaseAffinities({ node: "node1" }),
  },
  {
    name: "a block taken from another node",
    prepare: async (ipam) => {
      await ipam.autoAssign({ ...pod("b", "node2"), num4: 128 });
      await ipam.releaseByHandle("b");
    },
    act: (ipam) => ipam.autoAssign(pod("a", "node1")),
  },
];

/** @throws the first error, when all are done. */
async function allOf(calls: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled(calls);
  const failed = outcomes.find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
}

for (const { name, prepare, act } of scenarios) {
  for (const moment of ["before", "after"] as const) {
    for (const createsTogether of [false, true]) {
      const where = createsTogether ? "where creations are one write" : "where each write is one";
      test(`a crash ${moment} any write of ${name} is repaired, ${where}`, async () => {
        for (let at = 1; ; at++) {
          const shared = new FakeDatastore();
          await createCluster(shared, { pools });
          await prepare?.(ipamOn(shared));
          const ahead = { ms: 120_000 };
          const store = dying(shared, at, { moment, createsTogether });
          const crashed = await act(ipamOn(store, ahead)).then(
            () => false,
            (error: unknown) => {
              assert.match(errorMessage(error), /at write/);
              return true;
            },
          );
          await checkInvariants(shared, { exact: false });
          await checkRepair(shared, ahead);
          if (!crashed) {
            assert.ok(at > 2, "something was written");
            return;
          }
        }
      });
    }
  }
}

/** Whatever was left: the pod is deleted and made again, and in the end nothing is in use. */
async function checkRepair(shared: FakeDatastore, ahead: { ms: number }): Promise<void> {
  const ipam = ipamOn(shared, ahead);
  for (const handle of ["first", "a", "b", "c"]) await ipam.releaseByHandle(handle);
  await ipam.releaseAffinities({ node: "node2" });
  await checkInvariants(shared, { exact: false });
  assert.equal((await inUse(shared)).size, 0);
  assert.deepEqual((await shared.list("IPAMHandle")).items, []);
  const assigned = await ipam.autoAssign({ ...pod("a", "node1"), num4: 128 });
  assert.equal(
    new Set(assigned.map(({ address }) => address)).size,
    128,
    "every address is usable",
  );
  await checkInvariants(shared, { exact: true });
}

test("a handle that was counted up while the pools were read is counted down when they have changed", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  const ipam = ipamOn(shared);
  for (const handle of ["a", "b"]) await ipam.autoAssign(pod(handle, "node1"));
  const writes = shared.writes;
  await ipam.autoAssign(pod("c", "node1"));
  assert.equal(shared.writes - writes, 2);
  const present = await shared.get({ kind: "IPPool", name: "v4" });
  await shared.update<"IPPool">({ ...present, spec: { ...present.spec, disabled: true } });
  const before = shared.writes;
  await assert.rejects(ipam.autoAssign(pod("d", "node1")), /it is disabled/);
  assert.equal(shared.writes - before, 2);
  assert.equal(await ipam.knowsHandle("d"), false);
  await checkInvariants(shared, { exact: true });
});

/** Claims the block of a rival. @returns the writes that were tried. */
async function claimOfRivals(faults: WriteFaults): Promise<string[]> {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  const [rivals] = await ipamOn(shared).autoAssign(pod("first", "rival"));
  assert.ok(rivals !== undefined);
  const tried: string[] = [];
  const before = (op: string, key: ResourceKey) => {
    tried.push(`${op} ${key.kind}`);
    return faults.before?.(op, key);
  };
  const datastore = new FakeDatastore({ ...faults, before }, shared);
  const ports = { datastore, clock: systemClock, random: Math.random };
  const records = new IpamRecords(
    { cooldownMs: 0, memory: new BlockMemory(), turns: new KeyedLock() },
    ports,
  );
  let wasBeside = false;
  const beside = async () => {
    wasBeside = true;
  };
  assert.equal(await claimBlock(records, "late", rivals.block, beside), undefined);
  assert.ok(wasBeside);
  const { items } = await shared.list("BlockAffinity");
  assert.deepEqual(
    items.map(({ spec }) => spec.node),
    ["rival"],
    "nothing is left behind",
  );
  return tried;
}

test("a claim of a rival's block tries no write of the block, and leaves nothing behind", async () => {
  const tried = await claimOfRivals({});
  assert.deepEqual(tried, ["create BlockAffinity", "delete BlockAffinity"]);
});

test("a claim in one write of a rival's block leaves nothing behind", async () => {
  assert.deepEqual(await claimOfRivals({ createsTogether: true }), ["create IPAMBlock"]);
});

test("a claim of a rival's block leaves nothing behind when its affinity cannot be deleted at once", async () => {
  let refused = 0;
  const before = (op: string, key: ResourceKey) => {
    if (op === "delete" && ++refused <= 2) throw failure("conflict", key);
  };
  const tried = await claimOfRivals({ before });
  assert.equal(tried.filter((each) => each.startsWith("delete")).length, 3);
});

test("a stale affinity to a rival's block goes when it cannot be deleted at once", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  const [rivals] = await ipamOn(shared).autoAssign(pod("first", "rival"));
  assert.ok(rivals !== undefined);
  await shared.create<"BlockAffinity">(newAffinity("late", rivals.block, "confirmed"));
  let refused = 0;
  const before = (op: string, key: ResourceKey) => {
    if (op === "delete" && ++refused <= 2) throw failure("conflict", key);
  };
  await ipamOn(new FakeDatastore({ before }, shared)).autoAssign(pod("second", "late"));
  await checkInvariants(shared, { exact: true });
});

test("releases at once of one process do not conflict with each other", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools: [pool("v4", { cidr: "10.0.0.0/26", blockSize: 26 })] });
  let written = 0;
  const before = (op: string, key: ResourceKey) => {
    if (op === "update" && key.kind === "IPAMBlock") written++;
  };
  const ipam = ipamOn(new FakeDatastore({ before }, shared));
  const handles = Array.from({ length: 40 }, (_, i) => `h${i}`);
  await Promise.all(handles.map((handle) => ipam.autoAssign(pod(handle, "node"))));
  written = 0;
  await Promise.all(handles.map((handle) => ipam.releaseByHandle(handle)));
  assert.equal(written, handles.length);
  assert.equal((await inUse(shared)).size, 0);
});

test("assignments at once are one write of their block, each with its handle and sequence number", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  const ipam = ipamOn(shared);
  await ipam.autoAssign(pod("first", "node1"));
  const writes = shared.writes;
  const handles = ["a", "b", "c", "d"];
  const assigned = (
    await Promise.all(handles.map((handle) => ipam.autoAssign(pod(handle, "node1"))))
  ).flat();
  assert.equal(shared.writes - writes, handles.length + 1);
  assert.deepEqual(
    assigned.map(({ handle }) => handle),
    handles,
  );
  assert.deepEqual(
    assigned.map(({ address }) => address),
    assigned.map(({ address }) => address).toSorted(),
    "in the order of the calls",
  );
  for (const each of assigned) {
    const holder = await ipam.holderOf(each.address);
    assert.deepEqual([holder?.handle, holder?.sequenceNumber], [each.handle, each.sequenceNumber]);
  }
  assert.equal(new Set(assigned.map(({ sequenceNumber }) => sequenceNumber)).size, 4);
  await checkInvariants(shared, { exact: true });
});

test("assignments at once that do not fit the block go on with the next, and one of them fails alone", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  const before = (op: string, key: ResourceKey) => {
    if (op === "create" && key.name === "bad") {
      throw new DatastoreError("Cannot write it", { code: "unavailable" });
    }
  };
  const ipam = ipamOn(new FakeDatastore({ before }, shared));
  const handles = [...Array.from({ length: 19 }, (_, index) => `p${index}`), "bad"];
  const outcomes = await Promise.allSettled(
    handles.map((handle) => ipam.autoAssign(pod(handle, "node1"))),
  );
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    handles.map((handle) => (handle === "bad" ? "rejected" : "fulfilled")),
  );
  const { size } = await inUse(shared);
  assert.equal(size, 19);
  await checkInvariants(shared, { exact: true });
});

for (const createsTogether of [false, true]) {
  const where = createsTogether ? "where creations are one write" : "where each write is one";
  test(`two assignments at once of one handle are counted both, ${where}`, async () => {
    const shared = new FakeDatastore({ createsTogether });
    await createCluster(shared, { pools });
    const ipam = ipamOn(shared);
    await ipam.autoAssign(pod("first", "node1"));
    await Promise.all([1, 2, 3].map(() => ipam.autoAssign(pod("same", "node1"))));
    assert.equal((await inUse(shared)).size, 4);
    await checkInvariants(shared, { exact: true });
    assert.equal((await ipam.releaseByHandle("same")).length, 3);
  });
}

test("a block of ours whose affinity is lost is claimed where creations are one write", async () => {
  const shared = new FakeDatastore({ createsTogether: true });
  await createCluster(shared, { pools, config: { strictAffinity: true } });
  // All sixteen blocks are there.
  const all = await ipamOn(shared).autoAssign({ ...pod("first", "node1"), num4: 128 });
  assert.equal(all.length, 128);
  const [lost] = (await shared.list("BlockAffinity")).items;
  assert.ok(lost !== undefined);
  await shared.delete(keyOf(lost));
  const given = all.find(({ block }) => block === lost.spec.cidr);
  assert.ok(given !== undefined);
  await ipamOn(shared).releaseIps([given]);
  const [again] = await ipamOn(shared).autoAssign(pod("second", "node1"));
  assert.equal(again?.address, given.address);
  await checkInvariants(shared, { exact: true });
});

test("a remembered block that another node has since is not taken from", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools, config: { strictAffinity: true } });
  const ipam = ipamOn(shared);
  const [first] = await ipam.autoAssign(pod("a", "node1"));
  assert.ok(first !== undefined);
  const other = ipamOn(shared);
  await other.releaseByHandle("a");
  await other.releaseAffinities({ node: "node1" });
  await other.assignIp({ ...pod("b", "node2"), address: first.address });
  const [second] = await ipam.autoAssign(pod("c", "node1"));
  assert.notEqual(second?.block, first.block);
  await checkInvariants(shared, { exact: true });
});
