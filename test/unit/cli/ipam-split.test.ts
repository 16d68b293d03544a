import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { beforeEach, test } from "node:test";
import { runResourceCommand } from "../../../src/cli/resource-command.ts";
import { DatastoreError } from "../../../src/datastore/datastore.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { checkInvariants, createCluster, ipamOn, pool } from "../ipam/cluster.ts";

let datastore = new MemoryDatastore();

beforeEach(async () => {
  datastore = new MemoryDatastore();
  const big = pool("big", {
    cidr: "10.0.0.0/24",
    blockSize: 26,
    natOutgoing: true,
    disabled: true,
  });
  await createCluster(datastore, {
    pools: [
      { ...big, metadata: { name: "big", labels: { zone: "a" } } },
      pool("six", { cidr: "fd00::/120", blockSize: 122 }),
    ],
    nodes: { node1: {} },
  });
  await setReady(false);
});

async function setReady(datastoreReady: boolean): Promise<void> {
  const key = { kind: "ClusterInformation", name: "default" } as const;
  await datastore.delete(key).catch(() => undefined);
  await datastore.create<"ClusterInformation">({
    apiVersion: "projectcalico.org/v3",
    kind: "ClusterInformation",
    metadata: { name: "default" },
    spec: { datastoreReady },
  });
}

async function run(command: string): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    stdin: Readable.from([]),
    env: { DATASTORE_TYPE: "embedded" },
  };
  const openDatastore = async () => datastore;
  const code = await runResourceCommand(["ipam", ...command.split(" ")], io, { openDatastore });
  return { code, out, err };
}

async function pools(): Promise<string[]> {
  const { items } = await datastore.list("IPPool");
  return items.map(({ metadata, spec }) => `${metadata.name} ${spec.cidr}`).sort();
}

test("split puts pools of equal size in the place of one, and keeps blocks and addresses", async () => {
  const ipam = ipamOn(datastore);
  const six = { node: "node1", use: "Workload", num6: 1, attributes: { node: "node1" } } as const;
  const [assigned] = await ipam.autoAssign({ ...six, handle: "a" });
  assert.ok(assigned);
  const { code, out, err } = await run("split 2 --cidr fd00::/120");
  assert.equal(code, 0, err);
  assert.equal(
    out,
    "IP Pool six was successfully split into 2 smaller pools.\n" +
      "Created split-six-0 with CIDR fd00::/121.\nCreated split-six-1 with CIDR fd00::80/121.\n" +
      "Annotations and CNI configurations that name the old pool must name one of these.\n" +
      "The datastore is locked: tortie datastore migrate unlock\n",
  );
  assert.equal((await ipam.holderOf(assigned.address))?.handle, "a");
  await ipam.releaseByHandle("a");
  assert.equal((await ipam.autoAssign({ ...six, handle: "b" })).length, 1);
  await checkInvariants(datastore, { exact: true });
});

test("each part says what the pool said, but its CIDR and name", async () => {
  assert.equal((await run("split 4 --name big")).code, 0);
  assert.deepEqual(await pools(), [
    "six fd00::/120",
    "split-big-0 10.0.0.0/26",
    "split-big-1 10.0.0.64/26",
    "split-big-2 10.0.0.128/26",
    "split-big-3 10.0.0.192/26",
  ]);
  const { metadata, spec } = await datastore.get({ kind: "IPPool", name: "split-big-3" });
  assert.deepEqual(metadata.labels, { zone: "a" });
  assert.deepEqual(spec, {
    cidr: "10.0.0.192/26",
    blockSize: 26,
    natOutgoing: true,
    disabled: true,
  });
});

test("a split that was cut off is finished by the same split", async () => {
  datastore.next("delete", new DatastoreError("it is gone", { code: "unavailable" }));
  assert.equal((await run("split 2 --name big")).code, 1);
  assert.equal((await pools()).length, 4);
  assert.equal((await run("split 2 --name big")).code, 0);
  assert.deepEqual(await pools(), [
    "six fd00::/120",
    "split-big-0 10.0.0.0/25",
    "split-big-1 10.0.0.128/25",
  ]);
});

test("split --dry-run needs no lock, and changes nothing", async () => {
  await setReady(true);
  const before = await pools();
  const { code, out } = await run("split 2 --name big --dry-run");
  assert.deepEqual(
    [code, out],
    [
      0,
      "Would create split-big-0 with CIDR 10.0.0.0/25\n" +
        "Would create split-big-1 with CIDR 10.0.0.128/25\n" +
        "Would delete big with CIDR 10.0.0.0/24\n",
    ],
  );
  assert.deepEqual(await pools(), before);
});

test("split of an unlocked datastore is refused", async () => {
  await setReady(true);
  assert.deepEqual(await run("split 2 --name big"), {
    code: 1,
    out: "",
    err: 'Cannot split IPPool "big": the datastore is not locked. Run `tortie datastore migrate lock` first\n',
  });
  assert.equal((await pools()).length, 2);
});

test("split beside another pool of a part's name is refused", async () => {
  await datastore.create<"IPPool">(pool("split-big-1", { cidr: "10.9.0.0/24" }));
  const { code, err } = await run("split 2 --name big");
  assert.equal(code, 1);
  assert.equal(
    err,
    'Cannot create IPPool "split-big-1" of 10.0.0.128/25: there is another of this name, of 10.9.0.0/24\n',
  );
  assert.equal((await pools()).length, 3);
});

for (const [command, message] of [
  ["split", "Cannot split a pool without NUMBER"],
  ["split two --name big", 'Cannot accept NUMBER "two": it must be a power of 2'],
  ["split 2 4 --name big", 'Cannot accept "4" after NUMBER'],
  ["split 2", "Cannot split a pool: give its --name or its --cidr, and not both"],
  [
    "split 2 --name big --cidr 10.0.0.0/24",
    "Cannot split a pool: give its --name or its --cidr, and not both",
  ],
  ["split 2 --name none", 'Cannot split IPPool "none": it does not exist'],
  ["split 2 --cidr 10.1.0.0/24", 'Cannot split IPPool "10.1.0.0/24": it does not exist'],
  [
    "split 2 --cidr 10.0.0.1/24",
    'Cannot accept --cidr "10.0.0.1/24": Cannot parse prefix "10.0.0.1/24": host bits are set, did you mean 10.0.0.0/24',
  ],
  [
    "split 3 --name big",
    'Cannot split IPPool "big": the number of parts must be a power of 2 from 2 to 1024, got 3',
  ],
  [
    "split 1 --name big",
    'Cannot split IPPool "big": the number of parts must be a power of 2 from 2 to 1024, got 1',
  ],
  [
    "split 8 --name big",
    'Cannot split IPPool "big": 8 parts of 10.0.0.0/24 are smaller than its blocks of /26',
  ],
] as const) {
  test(`ipam ${command}: is refused by name`, async () => {
    const before = await pools();
    const { code, err } = await run(command);
    assert.deepEqual([code, err], [1, `${message}\n`]);
    assert.deepEqual(await pools(), before);
  });
}
