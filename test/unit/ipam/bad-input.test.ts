import assert from "node:assert/strict";
import { test } from "node:test";
import { DatastoreError, isDatastoreError } from "../../../src/datastore/datastore.ts";
import { Ipam } from "../../../src/ipam/ipam.ts";
import { IpamError } from "../../../src/ipam/ipam-error.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { checkInvariants, createCluster, inUse, ipamOn, pool } from "./cluster.ts";
import { FakeDatastore, failure, type WriteFaults } from "./fake-datastore.ts";

/**
 * Bad input and faults: a typed error that says what is wrong, and nothing is leaked. What pools may
 * be is shown by test/unit/api and test/unit/cli (pools that overlap), crashes by ipam-races.test.ts.
 */

const pod = (handle: string, node = "node1") =>
  ({
    handle,
    attributes: { pod: handle, namespace: "shop", node },
    node,
    use: "Workload",
  }) as const;

async function cluster(config: { cidr?: string; blockSize?: number } = {}): Promise<FakeDatastore> {
  const datastore = new FakeDatastore();
  const { cidr = "10.0.0.0/27", blockSize = 29 } = config;
  const pools = [pool("v4", { cidr, blockSize })];
  await createCluster(datastore, { pools, nodes: { node1: {}, node2: {} } });
  return datastore;
}

function failsWith(code: string, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof IpamError, String(error));
    assert.match(error.message, message);
    return error.code === code;
  };
}

/** Does not wait between its tries. */
function hastyIpamOn(datastore: FakeDatastore): Ipam {
  const clock = { ...systemClock, sleep: async () => undefined };
  return new Ipam({ datastore, clock, random: () => 0 });
}

async function freeAll(ipam: Ipam, datastore: FakeDatastore): Promise<void> {
  for (const { spec } of (await datastore.list("IPAMHandle")).items) {
    await ipam.releaseByHandle(spec.handleID);
  }
  assert.equal((await inUse(datastore)).size, 0);
  await checkInvariants(datastore, { exact: true });
}

test("an address outside any pool, or in a pool that is disabled, says where it should lie", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  const outside = { ...pod("a"), address: parseIpAddr("192.0.2.1") };
  await assert.rejects(
    ipam.assignIp(outside),
    failsWith("bad-pool", /Cannot assign 192\.0\.2\.1: it lies in no IPPool/),
  );
  const v4 = await datastore.get({ kind: "IPPool", name: "v4" });
  await datastore.update<"IPPool">({ ...v4, spec: { ...v4.spec, disabled: true } });
  await assert.rejects(
    ipam.assignIp({ ...pod("a"), address: parseIpAddr("10.0.0.5") }),
    failsWith("bad-pool", /10\.0\.0\.5: pool v4: it is disabled/),
  );
  assert.deepEqual((await datastore.list("IPAMBlock")).items, []);
});

test("an address in use: by which handle, which pod, on which node", async () => {
  const datastore = await cluster();
  const ipam = ipamOn(datastore);
  const address = parseIpAddr("10.0.0.5");
  await ipam.assignIp({ ...pod("a"), address });
  await assert.rejects(
    ipam.assignIp({ ...pod("b", "node2"), address }),
    failsWith(
      "address-taken",
      /Cannot assign 10\.0\.0\.5: handle "a" has it \(pod shop\/a on node1\)$/,
    ),
  );
  await checkInvariants(datastore, { exact: true });
  await freeAll(ipam, datastore);
});

test("an exhausted pool: its name and usage, and whose addresses may be leaked", async () => {
  const datastore = await cluster({ cidr: "10.0.0.0/28" });
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a", "node1"), num4: 6 });
  await ipam.autoAssign({ ...pod("b", "node9"), num4: 7 });
  await ipam.autoAssign({ ...pod("c", "node8"), num4: 3 });
  await assert.rejects(
    ipam.autoAssign({ ...pod("d"), num4: 1 }),
    failsWith(
      "pool-exhausted",
      /to node1: no free address \(v4 10\.0\.0\.0\/28: 16 of 16 in use\); perhaps leaked, as the node does not exist: node9 has 7, node8 has 3 \(see "tortie ipam check"\)$/,
    ),
  );
  await freeAll(ipam, datastore);
});

test("an exhausted pool of nodes that all exist blames none", async () => {
  const datastore = await cluster({ cidr: "10.0.0.0/29" });
  const ipam = ipamOn(datastore);
  await ipam.autoAssign({ ...pod("a"), num4: 8 });
  const full = failsWith("pool-exhausted", /v4 10\.0\.0\.0\/29: 8 of 8 in use\)$/);
  await assert.rejects(ipam.autoAssign({ ...pod("b", "node2"), num4: 1 }), full);
});

/** Every way of asking for an address. */
const requests: readonly (readonly [what: string, ask: (ipam: Ipam) => Promise<unknown>])[] = [
  ["autoAssign()", (ipam) => ipam.autoAssign({ ...pod("a"), num4: 10 })],
  ["assignIp()", (ipam) => ipam.assignIp({ ...pod("a"), address: parseIpAddr("10.0.0.5") })],
];

for (const [what, ask] of requests) {
  test(`${what} on a datastore that goes away in the middle: unavailable, and all is found again`, async () => {
    for (let at = 1; ; at++) {
      const datastore = await cluster();
      let writes = 0;
      const away: WriteFaults = {
        before: () => {
          writes++;
          if (writes >= at) throw new DatastoreError("no answer", { code: "unavailable" });
        },
      };
      const failed = await ask(ipamOn(new FakeDatastore(away, datastore))).then(
        () => false,
        (error: unknown) => {
          const reasons = error instanceof AggregateError ? error.errors : [error];
          assert.ok(reasons.every((reason) => isDatastoreError(reason, "unavailable")));
          return true;
        },
      );
      await checkInvariants(datastore, { exact: false });
      // The runtime deletes what it could not add, and adds again.
      const ipam = ipamOn(datastore);
      await ipam.releaseByHandle("a");
      assert.equal((await inUse(datastore)).size, 0);
      await ask(ipam);
      await freeAll(ipam, datastore);
      if (failed) continue;
      assert.ok(at > 3, "something was written");
      return;
    }
  });

  test(`${what} in a storm of conflicts gives up with a count, and leaves nothing`, async () => {
    const datastore = await cluster();
    await ipamOn(datastore).autoAssign({ ...pod("other"), num4: 1 });
    const storm: WriteFaults = {
      before: (op, key) => {
        if (op === "update" && key.kind === "IPAMBlock") throw failure("conflict", key);
      },
    };
    await assert.rejects(
      ask(hastyIpamOn(new FakeDatastore(storm, datastore))),
      failsWith("too-many-conflicts", /100 tries/),
    );
    assert.deepEqual([...(await inUse(datastore)).values()], ["other"]);
    await checkInvariants(datastore, { exact: true });
  });
}
