import assert from "node:assert/strict";
import { test } from "node:test";
import type { IPPool } from "../../../src/api/resources/ip-pool.ts";
import { type Datastore, DatastoreError } from "../../../src/datastore/datastore.ts";
import { BlockMemory } from "../../../src/ipam/block-memory.ts";
import { claimBlock } from "../../../src/ipam/claims.ts";
import type { Ipam } from "../../../src/ipam/ipam.ts";
import { IpamError } from "../../../src/ipam/ipam-error.ts";
import { IpamRecords } from "../../../src/ipam/ipam-records.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { errorMessage } from "../../../src/lib/errors.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "./cluster.ts";
import { FakeDatastore, failure } from "./fake-datastore.ts";

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
      before: (op: string, key: Parameters<typeof failure>[1]) => {
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
function dying(shared: FakeDatastore, at: number, moment: "before" | "after"): Datastore {
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

for (const { name, prepare, act } of scenarios) {
  for (const moment of ["before", "after"] as const) {
    test(`a crash ${moment} any write of ${name} is repaired`, async () => {
      for (let at = 1; ; at++) {
        const shared = new FakeDatastore();
        await createCluster(shared, { pools });
        await prepare?.(ipamOn(shared));
        const ahead = { ms: 120_000 };
        const crashed = await act(ipamOn(dying(shared, at, moment), ahead)).then(
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

/** Whatever was left: the pod is deleted and made again, and in the end nothing is in use. */
async function checkRepair(shared: FakeDatastore, ahead: { ms: number }): Promise<void> {
  const ipam = ipamOn(shared, ahead);
  await ipam.releaseByHandle("a");
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

test("a claim of a rival's block tries no write of the block, and leaves nothing behind", async () => {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  const [rivals] = await ipamOn(shared).autoAssign(pod("first", "rival"));
  assert.ok(rivals !== undefined);
  const tried: string[] = [];
  const before = (op: string, key: Parameters<typeof failure>[1]) => {
    tried.push(`${op} ${key.kind}`);
  };
  const datastore = new FakeDatastore({ before }, shared);
  const ports = { datastore, clock: systemClock, random: Math.random };
  const records = new IpamRecords({ cooldownMs: 0, memory: new BlockMemory() }, ports);
  let listedBeside = 0;
  const whenLost = async () => {
    listedBeside = tried.length;
  };
  assert.equal(await claimBlock(records, "late", rivals.block, whenLost), undefined);
  assert.deepEqual(tried, ["create BlockAffinity", "delete BlockAffinity"]);
  assert.ok(listedBeside > 0);
  const { items } = await shared.list("BlockAffinity");
  assert.deepEqual(
    items.map(({ spec }) => spec.node),
    ["rival"],
  );
});
