import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ResourceKey } from "../../../src/api/resource-key.ts";
import { claimStep } from "../../../src/ipam/block-claim.ts";
import type { HeldAddress, OwnerAttributes } from "../../../src/ipam/block-owners.ts";
import type { Ipam } from "../../../src/ipam/ipam.ts";
import type { IpAddr, IpFamily } from "../../../src/lib/ip-addr.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "./cluster.ts";
import { FakeDatastore, failure, type WriteFaults } from "./fake-datastore.ts";

const handle = "net.vmi.shop.db";
const pools = [
  pool("v4", { cidr: "10.0.0.0/25", blockSize: 29 }),
  pool("v6", { cidr: "fd00::/120", blockSize: 125 }),
];

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

let stamps = 0;

async function claim(ipam: Ipam, pod: string, node: string): Promise<readonly IpAddr[]> {
  const owner = { namespace: "shop", pod, node, timestamp: String(stamps++) };
  const assign = (families: readonly IpFamily[], attributes: OwnerAttributes) =>
    ipam.autoAssign({
      handle,
      node,
      use: "Workload",
      attributes,
      num4: families.includes(4) ? 1 : 0,
      num6: families.includes(6) ? 1 : 0,
    });
  return (await ipam.sharedHandle(handle)).claim({ families: [4, 6], owner, assign });
}

/** A process on a node, in one cluster with the others. */
async function processes(count: number, faults: WriteFaults = {}) {
  const shared = new FakeDatastore();
  await createCluster(shared, { pools });
  const ipams = Array.from({ length: count }, () => ipamOn(new FakeDatastore(faults, shared)));
  return { shared, ipams };
}

async function leave(ipam: Ipam, pod: string): Promise<void> {
  await (await ipam.sharedHandle(handle)).leave({ namespace: "shop", pod });
}

function conflicts(chance: () => number): WriteFaults {
  return {
    before: (op: string, key: ResourceKey) => {
      if (op !== "create" && chance() < 0.1) throw failure("conflict", key);
    },
  };
}

async function heldOwners(ipam: Ipam): Promise<(string | undefined)[]> {
  const held = await (await ipam.sharedHandle(handle)).addresses();
  return held.map(({ owner }) => owner["pod"]);
}

describe("SharedHandle", () => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    test(`pods that claim at once get the same addresses, as their successors do (${seed})`, async () => {
      const chance = random(seed);
      const { shared, ipams } = await processes(5, conflicts(chance));
      const given = new Set<string>();
      for (let round = 0; round < 5; round++) {
        const pods = ipams.map((ipam, i) => ({ ipam, pod: `p${i}-${round}`, node: `node${i}` }));
        const answers = pods.map(({ ipam, pod, node }) => claim(ipam, pod, node));
        for (const answer of await Promise.all(answers)) given.add(answer.join());
        assert.deepEqual([given.size, (await inUse(shared)).size], [1, 2]);
        await Promise.all(pods.map(({ ipam, pod }) => leave(ipam, pod)));
      }
      await checkInvariants(shared, { exact: true });
    });

    test(`whoever claims and leaves in the middle, one address of a family is left (${seed})`, async () => {
      const chance = random(seed);
      const { shared, ipams } = await processes(5, conflicts(chance));
      const work = ipams.map(async (ipam, i) => {
        for (let round = 0; round < 5; round++) {
          const pod = `p${i}-${round}`;
          assert.equal((await claim(ipam, pod, `node${i}`)).length, 2);
          if (chance() < 0.7) await leave(ipam, pod);
        }
      });
      await Promise.all(work);
      assert.equal((await inUse(shared)).size, 2);
      await checkInvariants(shared, { exact: true });
    });
  }

  test("what a crash after any write left is cleaned by the next pod, and one of each family is left", async () => {
    for (let crashAt = 1; crashAt <= 12; crashAt++) {
      let writes = 0;
      const crash = () => {
        if (++writes >= crashAt) throw new Error("crash");
      };
      const shared = new FakeDatastore();
      await createCluster(shared, { pools });
      const broken = ipamOn(new FakeDatastore({ after: crash }, shared));
      const sound = ipamOn(shared);
      const other = claim(sound, "b", "node2");
      await claim(broken, "a", "node1").catch(() => undefined);
      await other;
      await leave(sound, "a");
      const got = await claim(sound, "c", "node2");
      assert.equal(got.length, 2, `crash at write ${crashAt}`);
      assert.equal((await inUse(shared)).size, 2, `crash at write ${crashAt}`);
      assert.deepEqual(await heldOwners(sound), ["c", "c"]);
    }
  });

  test("leave() keeps the addresses, and ends only the pod's ownership", async () => {
    const { shared, ipams } = await processes(1);
    const [ipam] = ipams as [Ipam];
    const before = await claim(ipam, "a", "node1");
    const held = await ipam.sharedHandle(handle);
    await held.leave({ namespace: "other", pod: "a" });
    assert.deepEqual(await heldOwners(ipam), ["a", "a"]);
    await held.leave({ namespace: "shop", pod: "a" });
    assert.deepEqual(await heldOwners(ipam), [undefined, undefined]);
    assert.deepEqual(await claim(ipam, "b", "node1"), before);
    await held.leave({ namespace: "shop", pod: "a" });
    assert.deepEqual(await heldOwners(ipam), ["b", "b"]);
    await checkInvariants(shared, { exact: true });
  });

  test("releaseUnowned() keeps what a pod has, or takes in the same moment", async () => {
    const { shared, ipams } = await processes(2);
    const [ipam, rival] = ipams as [Ipam, Ipam];
    await claim(ipam, "a", "node1");
    const held = await ipam.sharedHandle(handle);
    await held.releaseUnowned();
    assert.equal((await inUse(shared)).size, 2);
    for (let round = 0; round < 10; round++) {
      await held.leave({ namespace: "shop", pod: "a" });
      const [got] = await Promise.all([claim(rival, "a", "node2"), held.releaseUnowned()]);
      const owned = await held.addresses();
      assert.deepEqual(owned.map(({ address }) => address).sort(), [...got].sort());
    }
    await held.leave({ namespace: "shop", pod: "a" });
    await held.releaseUnowned();
    assert.equal((await inUse(shared)).size, 0);
    await checkInvariants(shared, { exact: true });
  });

  test("a release by the sequence number from before a takeover does not hit the new pod", async () => {
    const { shared, ipams } = await processes(1);
    const [ipam] = ipams as [Ipam];
    await claim(ipam, "a", "node1");
    const before = await (await ipam.sharedHandle(handle)).addresses();
    await claim(ipam, "b", "node1");
    await assert.rejects(ipam.releaseIps(before), /assigned again since/);
    assert.equal((await inUse(shared)).size, 2);
  });
});

describe("claimStep()", () => {
  const me = { namespace: "shop", pod: "me" };
  const held = (last: number, pod: string, alternate: OwnerAttributes = {}): HeldAddress => ({
    address: `10.0.0.${last}` as IpAddr,
    block: "10.0.0.0/26",
    ordinal: last,
    handle,
    sequenceNumber: 1n,
    owner: pod === "" ? {} : { namespace: "shop", pod },
    alternateOwner: alternate,
  });
  const pending = (last: number, pod: string): HeldAddress => {
    const { owner, ...rest } = held(last, pod);
    return { ...rest, owner: { ...owner, claim: "pending" } };
  };
  const rows: readonly (readonly [string, readonly HeldAddress[], string])[] = [
    ["nothing is there", [], "assign 4"],
    ["mine alone", [held(1, "me")], "take 1"],
    ["nobody's", [held(1, "")], "take 1"],
    ["another's", [held(1, "b")], "take 1"],
    ["mine pending alone", [pending(1, "me")], "settle 1"],
    ["two of mine pending", [pending(1, "me"), pending(2, "me")], "release 2"],
    ["mine and another's pending", [pending(1, "me"), pending(2, "b")], "release 1"],
    ["another's pending", [pending(1, "b")], "wait"],
    ["mine pending beside another's", [pending(1, "me"), held(2, "b")], "release 1"],
    ["another's pending beside mine", [pending(1, "b"), held(2, "me")], "take 2"],
    ["pending of a pod that left", [pending(1, ""), held(2, "b")], "release 1"],
    ["pending of a pod that left alone", [pending(1, "")], "release 1"],
    ["mine is never released, whoever comes", [held(1, "me"), pending(2, "b")], "take 1"],
    ["nobody's and another's", [held(1, ""), held(2, "b")], "release 1"],
    ["two of nobody", [held(2, ""), held(1, "")], "release 2"],
    [
      "one that another moves to",
      [pending(1, "me"), held(2, "", { namespace: "shop", pod: "b" })],
      "release 1",
    ],
  ];
  test("who has waited long releases what others left pending", () => {
    const all = [pending(1, "b"), pending(2, "me")];
    const step = claimStep(all, { families: [4], pod: me, isImpatient: true });
    assert.deepEqual(step, { kind: "release", addresses: [all[0]] });
  });
  for (const [name, all, expected] of rows) {
    test(name, () => {
      const step = claimStep(all, { families: [4], pod: me, isImpatient: false });
      const what =
        "addresses" in step
          ? step.addresses.map(({ ordinal }) => ordinal)
          : "families" in step
            ? step.families
            : [];
      assert.equal([step.kind, ...what].join(" "), expected);
    });
  }
});
