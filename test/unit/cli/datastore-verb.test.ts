import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { beforeEach, test } from "node:test";
import { kinds } from "../../../src/api/kinds.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { migratedKinds } from "../../../src/cli/datastore/migrated-kinds.ts";
import { runResourceCommand } from "../../../src/cli/resource-command.ts";
import { DatastoreError } from "../../../src/datastore/datastore.ts";
import { type Millis, systemClock } from "../../../src/lib/clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { sampleCluster } from "../../support/sample-cluster.ts";

let source = new MemoryDatastore();
let target = new MemoryDatastore();

beforeEach(async () => {
  source = new MemoryDatastore();
  target = new MemoryDatastore();
  await sampleCluster(source);
});

interface Asked {
  readonly on?: MemoryDatastore;
  readonly stdin?: string;
  readonly type?: string;
  /** How far the clock goes on at each look, in ms. */
  readonly stepMs?: number;
}

async function run(
  command: string,
  { on = target, stdin = "", type = "embedded", stepMs = 0 }: Asked = {},
): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  let now = 0;
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    stdin: Readable.from([stdin]),
    env: { DATASTORE_TYPE: type },
  };
  const code = await runResourceCommand(["datastore", ...command.split(" ")], io, {
    openDatastore: async () => on,
    clock: {
      ...systemClock,
      now: () => {
        now += stepMs;
        return now as Millis;
      },
    },
  });
  return { code, out, err };
}

async function exported(): Promise<string> {
  await run("migrate lock", { on: source });
  const { code, out, err } = await run("migrate export", { on: source });
  assert.equal(code, 0, err);
  return out;
}

/** What is stored, but that a block is not deleted: silence says so too. */
function contents(datastore: MemoryDatastore): unknown {
  const entries = Object.entries(datastore.contents()).map(([key, value]) => {
    const { spec, ...rest } = value as { spec: { deleted?: boolean } };
    const { deleted, ...said } = spec;
    return [key, { ...rest, spec: deleted === true ? spec : said }];
  });
  return Object.fromEntries(entries);
}

const info = (datastoreReady: boolean): AnyResource => ({
  apiVersion: "projectcalico.org/v3",
  kind: "ClusterInformation",
  metadata: { name: "default" },
  spec: { datastoreReady },
});
const pool = (name: string, cidr: string, labels?: Record<string, string>): AnyResource => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name, ...(labels === undefined ? {} : { labels }) },
  spec: { cidr },
});

test("every kind but ClusterInformation and Lease is migrated, tiers before policies", () => {
  const wanted = Object.keys(kinds).filter((kind) => !/^(ClusterInformation|Lease)$/.test(kind));
  assert.deepEqual([...migratedKinds].sort(), wanted.sort());
  assert.ok(migratedKinds.indexOf("Tier") < migratedKinds.indexOf("NetworkPolicy"));
});

test("export of an unlocked datastore is refused, and prints nothing", async () => {
  assert.deepEqual(await run("migrate export", { on: source }), {
    code: 1,
    out: "",
    err: "Cannot export: the datastore is not locked. Run `tortie datastore migrate lock` first\n",
  });
});

test("lock and unlock say what they did, also a second time", async () => {
  for (const [verb, ready] of [
    ["lock", false],
    ["lock", false],
    ["unlock", true],
  ] as const) {
    const { code, out } = await run(`migrate ${verb}`, { on: source });
    assert.deepEqual([code, out], [0, `Datastore ${verb}ed.\n`]);
    const { spec } = await source.get({ kind: "ClusterInformation", name: "default" });
    assert.equal(spec.datastoreReady, ready);
    assert.equal(spec.clusterGUID, "07".repeat(16));
  }
});

for (const verb of ["lock", "unlock"]) {
  test(`${verb} of a datastore that no node has started on is refused`, async () => {
    const { code, err } = await run(`migrate ${verb}`);
    assert.equal(code, 1);
    assert.equal(
      err,
      `Cannot ${verb} the datastore: it has no ClusterInformation "default", so no node has started on it\n`,
    );
  });
}

test("import into an empty datastore writes everything, locks it, and is counted", async () => {
  const { code, out, err } = await run("migrate import -f -", { stdin: await exported() });
  assert.equal(code, 0, err);
  assert.deepEqual(contents(target), contents(source));
  assert.match(out, /^Successfully imported 3\d objects: 1 ClusterInformation, 2 IPPool, /);
  assert.match(out, /The datastore is locked\. When every node uses it: .* unlock\n$/);
});

test("import --dry-run says what it would write, and writes nothing", async () => {
  const { code, out } = await run("migrate import --dry-run -f -", { stdin: await exported() });
  assert.equal(code, 0);
  assert.match(out, /^Would import 3\d objects: 1 ClusterInformation, 2 IPPool, /);
  assert.deepEqual(target.contents(), {});
});

test("an import that was cut off is finished by the same import", async () => {
  const stdin = await exported();
  const create = target.create.bind(target);
  let left = 20;
  target.create = async (resource) => {
    if (left-- <= 0) throw new DatastoreError("it is gone", { code: "unavailable" });
    return create(resource);
  };
  const { code, err } = await run("migrate import -f -", { stdin });
  assert.equal(code, 1);
  assert.match(
    err,
    /^Cannot import \S+: it is gone\. 20 of 3\d objects are written, the datastore is locked: import the same file again to go on\n$/,
  );
  assert.equal(Object.keys(target.contents()).length, 20);
  target.create = create;
  const again = await run("migrate import -f -", { stdin });
  assert.equal(again.code, 0, again.err);
  assert.match(again.out, /^An earlier import has written 19 objects\.\n/);
  assert.deepEqual(contents(target), contents(source));
});

test("a long import says how far it is", async () => {
  const { err } = await run("migrate import -f -", { stdin: await exported(), stepMs: 500 });
  assert.match(err, /^\d+ of 3\d objects are imported\n/);
});

for (const [what, present, message] of [
  [
    "in use",
    [info(true)],
    "Cannot import: the datastore is in use. Import into an empty one, or into one that is locked\n",
  ],
  [
    "with an object that the file has not",
    [info(false), pool("mine", "10.9.0.0/16")],
    "Cannot import: the datastore is not empty: it has IPPool/mine, which the file has not. Nothing was written\n",
  ],
  [
    "with another object of a name, and without ClusterInformation",
    [pool("v4", "10.9.0.0/16")],
    "Cannot import: the datastore is not empty: it has another IPPool/v4. Nothing was written\n",
  ],
] as const) {
  test(`import into a datastore ${what} is refused, and writes nothing`, async () => {
    const on = new MemoryDatastore(present);
    const before = on.contents();
    const { code, err } = await run("migrate import -f -", { on, stdin: await exported() });
    assert.deepEqual([code, err], [1, message]);
    assert.deepEqual(on.contents(), before);
  });
}

test("export refuses what no import accepts, by name", async () => {
  await source.create<"IPPool">(pool("bad", "nonsense") as never);
  await run("migrate lock", { on: source });
  const { code, out, err } = await run("migrate export", { on: source });
  assert.deepEqual([code, out], [1, ""]);
  assert.match(err, /^Cannot read the datastore: Cannot accept IPPool "bad": spec\.cidr: /);
});

test("export is refused while an ADD that began before the lock still writes", async () => {
  await run("migrate lock", { on: source });
  const list = source.list.bind(source);
  source.list = async (kind, options) => {
    if (kind === "CalicoNodeStatus") {
      const handle = await source.get({ kind: "IPAMHandle", name: "k8s-pod-network.web-0abc" });
      await source.update<"IPAMHandle">(handle);
    }
    return list(kind, options);
  };
  const { code, err } = await run("migrate export", { on: source });
  assert.equal(code, 1);
  assert.equal(
    err,
    "Cannot export: somebody still assigns or releases addresses. Wait until it is done, and export again\n",
  );
});

test("objects of IPAM that are being deleted are not exported", async () => {
  const key = { kind: "IPAMHandle", name: "k8s-pod-network.web-0abc" } as const;
  const handle = await source.get(key);
  await source.update<"IPAMHandle">({ ...handle, spec: { ...handle.spec, deleted: true } });
  assert.doesNotMatch(await exported(), /calico\/ipam\/v2\/handle\/k8s-pod-network\.web-0ABC/);
});

/** As calicoctl writes it. */
const calicoctls = `apiVersion: projectcalico.org/v3
items:
- apiVersion: projectcalico.org/v3
  kind: IPPool
  metadata:
    creationTimestamp: null
    name: a
  spec:
    blockSize: 26
    cidr: 10.0.0.0/16
kind: IPPoolList
metadata:
  resourceVersion: "17"
---
---
===
{
  "kind": "ClusterInformation",
  "apiVersion": "projectcalico.org/v3",
  "metadata": { "name": "default", "uid": "x", "resourceVersion": "4" },
  "spec": { "clusterGUID": "ab", "datastoreReady": false }
}
===
{
  "block_affinities": [
    { "Key": "/calico/ipam/v2/host/n1/ipv4/block/10.0.0.64-30", "Value": { "state": "confirmed", "deleted": false }, "TTL": 0 }
  ],
  "blocks": [
    {
      "Key": "/calico/ipam/v2/assignment/ipv4/block/10.0.0.64-30",
      "Value": {
        "cidr": "10.0.0.64/30", "affinity": "host:n1", "strictAffinity": false,
        "allocations": [0, null, null, null], "unallocated": [1, 2, 3],
        "attributes": [{ "handle_id": "Pod.A", "secondary": { "node": "n1" } }],
        "deleted": false, "affinity_claim_time": "2026-08-22T10:00:00Z",
        "sequenceNumber": 18446744073709551615, "sequenceNumberForAllocation": { "0": 1755856800000000001 }
      },
      "TTL": 0
    }
  ],
  "handles": [
    { "Key": "/calico/ipam/v2/handle/Pod.A", "Value": { "block": { "10.0.0.64/30": 1 }, "deleted": false }, "TTL": 0 }
  ],
  "config": { "Key": "/calico/ipam/v2/config", "Value": { "strict_affinity": true, "auto_allocate_blocks": true }, "TTL": 0 }
}
`;

test("a file of calicoctl is read, with every digit of a sequence number", async () => {
  const { code, err } = await run("migrate import -f -", { stdin: calicoctls });
  assert.equal(code, 0, err);
  const block = await target.get({ kind: "IPAMBlock", name: "10-0-0-64-30" });
  assert.equal(block.spec.sequenceNumber, 18446744073709551615n);
  assert.equal(block.spec.sequenceNumberForAllocation["0"], 1755856800000000001n);
  assert.equal(block.spec.affinityClaimTime, "2026-08-22T10:00:00Z");
  const handle = await target.get({ kind: "IPAMHandle", name: "pod.a" });
  assert.equal(handle.spec.handleID, "Pod.A");
  const affinity = await target.get({ kind: "BlockAffinity", name: "n1-10-0-0-64-30" });
  assert.equal(affinity.spec.node, "n1");
  const config = await target.get({ kind: "IPAMConfiguration", name: "default" });
  assert.deepEqual(config.spec, { strictAffinity: true, autoAllocateBlocks: true });
  assert.equal((await target.get({ kind: "IPPool", name: "a" })).spec.cidr, "10.0.0.0/16");
});

test("the file is calicoctl's: v3 lists, the lock, IPAM as etcd has it, and ours where it looks not", async () => {
  const [shared = "", cluster = "", ipam = ""] = (await exported()).split("===\n");
  const lists = shared.split("---\n").filter((text) => text !== "");
  const kindsOf = lists.map((text) => (JSON.parse(text) as { kind: string }).kind);
  assert.ok(kindsOf.indexOf("TierList") < kindsOf.indexOf("NetworkPolicyList"));
  assert.doesNotMatch(shared, /knp\.default|WorkloadEndpoint|"Profile|resourceVersion|"uid"/);
  assert.equal((JSON.parse(cluster) as AnyResource).kind, "ClusterInformation");
  const third = JSON.parse(ipam) as Record<string, { Key: string }[]>;
  assert.deepEqual(Object.keys(third), [
    "block_affinities",
    "blocks",
    "handles",
    "config",
    "resources",
  ]);
  assert.equal(third["handles"]?.[0]?.Key, "/calico/ipam/v2/handle/k8s-pod-network.web-0ABC");
});

const clusterPart = JSON.stringify(info(false));
for (const [what, stdin, message] of [
  ["nothing", "", "Cannot read stdin: it has 1 parts, not 3: is it of `export`?\n"],
  [
    "a manifest",
    "kind: IPPool\n---\n",
    "Cannot read stdin: it has 1 parts, not 3: is it of `export`?\n",
  ],
  ["a cut file", calicoctls.slice(0, -40), /^Cannot read stdin: its third part is no JSON: /],
  ["broken YAML", `a: [\n===\n${clusterPart}\n===\n{}\n`, /^Cannot read stdin: its first part: /],
  [
    "another second part",
    `===\n${JSON.stringify(pool("a", "10.0.0.0/16"))}\n===\n{}\n`,
    "Cannot read stdin: its second part is no ClusterInformation\n",
  ],
  [
    "a kind that there is not",
    `{"apiVersion":"projectcalico.org/v3","kind":"Cat","metadata":{"name":"a"}}\n===\n${clusterPart}\n===\n{}\n`,
    'Cannot read stdin: Cannot accept Cat "a": kind: "Cat" is not known\n',
  ],
  [
    "a bad field",
    `${JSON.stringify(pool("a", "10.0.0.0/99"))}\n===\n${clusterPart}\n===\n{}\n`,
    /^Cannot read stdin: Cannot accept IPPool "a": spec\.cidr: .*"10\.0\.0\.0\/99"/,
  ],
  [
    "an object twice",
    `${JSON.stringify(pool("a", "10.0.0.0/16"))}\n---\n${JSON.stringify(pool("a", "10.1.0.0/16"))}\n===\n${clusterPart}\n===\n{}\n`,
    'Cannot read stdin: IPPool "a" is there twice\n',
  ],
  [
    "a handle among the blocks",
    `===\n${clusterPart}\n===\n{"blocks":[{"Key":"/calico/ipam/v2/handle/a","Value":{}}]}\n`,
    'Cannot read stdin: its third part: blocks has no such object as "/calico/ipam/v2/handle/a"\n',
  ],
] as const) {
  test(`import of ${what} is refused, and writes nothing`, async () => {
    const { code, err } = await run("migrate import -f -", { stdin });
    assert.equal(code, 1);
    if (typeof message === "string") assert.equal(err, message);
    else assert.match(err, message);
    assert.deepEqual(target.contents(), {});
  });
}

for (const [command, message] of [
  [
    "migrate",
    'Cannot run "datastore migrate": it must be one of migrate export, migrate import, migrate lock, migrate unlock\n',
  ],
  [
    "move export",
    'Cannot run "datastore move export": it must be one of migrate export, migrate import, migrate lock, migrate unlock\n',
  ],
  ["migrate import", "Cannot go on without -f FILE\n"],
  ["migrate lock now", 'Cannot accept "now" after lock\n'],
  ["migrate export -f a", "Cannot accept -f or --dry-run: they are of import, not export\n"],
  ["migrate import -f /nonexistent", "Cannot read /nonexistent: there is no such file\n"],
] as const) {
  test(`datastore ${command}: is refused by name`, async () => {
    const { code, err } = await run(command);
    assert.deepEqual([code, err], [1, message]);
  });
}

test("into Kubernetes: nodes are added to, its own kinds passed over, an absent node is told", async () => {
  const profile = {
    apiVersion: "projectcalico.org/v3",
    kind: "Profile",
    metadata: { name: "kns.prod" },
    spec: {},
  } as const;
  const node = {
    apiVersion: "projectcalico.org/v3",
    kind: "Node",
    metadata: { name: "node1", labels: { rack: "real" } },
    spec: { addresses: [{ address: "192.0.2.9" }] },
  } as const;
  const on = new MemoryDatastore([profile, node]);
  const stdin = await exported();
  const { code, out, err } = await run("migrate import -f -", { on, stdin, type: "kubernetes" });
  assert.equal(code, 0, err);
  assert.match(
    out,
    /^Kubernetes keeps its own: 4 objects: 1 NetworkPolicy, 1 Profile, 2 WorkloadEndpoint\n/,
  );
  assert.equal(err, 'Warning: Kubernetes has no node "node2": it was passed over\n');
  const merged = await on.get({ kind: "Node", name: "node1" });
  assert.equal(merged.spec.bgp?.ipv4Address, "192.0.2.1/24");
  assert.deepEqual(merged.spec.addresses, [{ address: "192.0.2.9" }]);
  assert.equal(merged.metadata.labels?.["rack"], "real");
  assert.deepEqual((await on.list("WorkloadEndpoint")).items, []);
});

test("into Kubernetes: a node of another name there is refused, and nothing is written", async () => {
  const key = { kind: "Node", name: "node1" } as const;
  const node = await source.get(key);
  const orchRefs = [{ nodeName: "real", orchestrator: "k8s" }];
  await source.update<"Node">({ ...node, spec: { ...node.spec, orchRefs } });
  const profile = {
    apiVersion: "projectcalico.org/v3",
    kind: "Profile",
    metadata: { name: "kns.prod" },
    spec: {},
  } as const;
  const on = new MemoryDatastore([profile]);
  const stdin = await exported();
  const { code, err } = await run("migrate import -f -", { on, stdin, type: "kubernetes" });
  assert.equal(code, 1);
  assert.equal(
    err,
    'Cannot import Node "node1" into Kubernetes, which calls it "real" (spec.orchRefs): tortie does not rename nodes\n',
  );
  assert.equal(Object.keys(on.contents()).length, 1);
});
