import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, beforeEach, test } from "node:test";
import type { WorkloadEndpoint } from "../../../src/api/resources/workload-endpoint.ts";
import { runResourceCommand } from "../../../src/cli/resource-command.ts";
import type { MachineState } from "../../../src/datastore/virtual-machines.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { createCluster, ipamOn, pool } from "../ipam/cluster.ts";

let folder = "";
let datastore = new MemoryDatastore();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "tt-ipam-"));
});
after(() => rm(folder, { recursive: true }));

/** Two pods of node1 with 10.0.0.0 and 10.0.0.1. */
beforeEach(async () => {
  datastore = new MemoryDatastore();
  await createCluster(datastore, {
    pools: [pool("pods", { cidr: "10.0.0.0/29", blockSize: 29 })],
    nodes: { node1: {}, node2: {} },
  });
  for (const name of ["a", "b"]) {
    const [assigned] = await ipamOn(datastore).autoAssign({
      node: "node1",
      use: "Workload",
      num4: 1,
      handle: `net.${name}`,
      attributes: { node: "node1", pod: name, namespace: "default" },
    });
    await datastore.create<"WorkloadEndpoint">(endpoint(name, `${assigned?.address}/32`));
  }
});

function endpoint(pod: string, network: string): WorkloadEndpoint {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: { name: `node1-k8s-${pod}-eth0`, namespace: "default" },
    spec: {
      orchestrator: "k8s",
      node: "node1",
      pod,
      endpoint: "eth0",
      ipNetworks: [network],
      interfaceName: `cali${pod}`,
    },
  };
}

async function run(command: string): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    stdin: Readable.from([]),
    env: { DATASTORE_TYPE: "embedded" },
  };
  const code = await runResourceCommand(command.split(" "), io, {
    openDatastore: async () => datastore,
  });
  return { code, out, err };
}

async function removeEndpoint(pod: string): Promise<void> {
  await datastore.delete({
    kind: "WorkloadEndpoint",
    namespace: "default",
    name: `node1-k8s-${pod}-eth0`,
  });
}

test("ipam show has calicoctl's columns", async () => {
  assert.deepEqual((await run("ipam show --show-blocks")).out.split("\n"), [
    "GROUPING   CIDR          IPS TOTAL   IPS IN USE   IPS RESERVED   IPS FREE",
    "IP Pool    10.0.0.0/29   8           2 (25%)      0              6 (75%)",
    "Block      10.0.0.0/29   8           2 (25%)      0              6 (75%)",
    "",
  ]);
  assert.equal(
    (await run("ipam show --ip 10.0.0.1")).out,
    "IP 10.0.0.1 is in use\nHandle ID: net.b\nActive Owner Attributes:\n" +
      "  namespace: default\n  node: node1\n  pod: b\n",
  );
  assert.equal((await run("ipam show --ip 10.0.0.5")).out, "10.0.0.5 is not assigned\n");
});

test("ipam show notes the pools that the cluster takes no addresses from", async () => {
  const was = await datastore.get({ kind: "IPPool", name: "pods" });
  const reason = { reason: "CIDROverlap", message: "spec.cidr overlaps that of IPPool a" };
  const conditions = [{ type: "Allocatable", status: "False", ...reason }];
  await datastore.update<"IPPool">({ ...was, status: { conditions } });
  const { out } = await run("ipam show");
  const note = "Note: IPPool pods is not allocatable: CIDROverlap: spec.cidr overlaps";
  assert.match(out, new RegExp(`\n\n${note}`));
});

test("ipam show --show-borrowed names the node that has it and the one whose block it is", async () => {
  await ipamOn(datastore).autoAssign({
    node: "node2",
    use: "Workload",
    num4: 1,
    handle: "net.c",
    attributes: { node: "node2", pod: "c", namespace: "default" },
  });
  const { out } = await run("ipam show --show-borrowed");
  assert.match(out, /^10\.0\.0\.2 +node2 +10\.0\.0\.0\/29 +node1 +pod +default\/c$/m);
  assert.doesNotMatch(out, /Note/);
  await ipamOn(datastore).autoAssign({
    node: "node1",
    use: "Workload",
    num4: 1,
    handle: "old",
    attributes: {},
  });
  assert.match(
    (await run("ipam show --show-borrowed")).out,
    /\nNote: found 1 IP allocations without an explicit node association\./,
  );
});

test("ipam show and why -o json say what their text says", async () => {
  const json = async (command: string) => JSON.parse((await run(`${command} -o json`)).out);
  const pool = { pool: "pods", cidr: "10.0.0.0/29", capacity: 8, inUse: 2, cooling: 0 };
  assert.deepEqual(await json("ipam show"), [{ ...pool, available: 6, reserved: 0 }]);
  assert.equal((await json("ipam show --show-blocks"))[0].blocks[0].affinity, "host:node1");
  assert.deepEqual(await json("ipam show --ip 10.0.0.6"), {
    address: "10.0.0.6",
    assigned: false,
  });
  assert.equal((await json("ipam show --ip 10.0.0.1")).handle, "net.b");
  assert.deepEqual(await json("ipam show --show-borrowed"), []);
  await removeEndpoint("b");
  const { users, allocation, problems } = await json("ipam why 10.0.0.1");
  assert.deepEqual(users, []);
  assert.equal(allocation.handle, "net.b");
  assert.equal(problems[0].kind, "leaked");
  assert.equal(
    (await run("ipam why 10.0.0.1 -o yaml")).err,
    'Cannot accept -o "yaml": why has only json\n',
  );
});

test("ipam check finds nothing wrong in a sound cluster", async () => {
  const { code, out } = await run("ipam check");
  assert.equal(code, 0);
  assert.match(out, /Check complete; found 0 problems/);
});

test("ipam check names what is leaked, unallocated, used twice or miscounted, and ends with 1", async () => {
  await removeEndpoint("a");
  await datastore.create<"WorkloadEndpoint">(endpoint("free", "10.0.0.6/32"));
  await datastore.create<"WorkloadEndpoint">(endpoint("twice", "10.0.0.1/32"));
  await datastore.create<"WorkloadEndpoint">(endpoint("far", "192.0.2.1/32"));
  const handle = await datastore.get({ kind: "IPAMHandle", name: "net.b" });
  const spec = { ...handle.spec, block: { "10.0.0.0/29": 3 } };
  await datastore.update<"IPAMHandle">({ ...handle, spec });
  const { code, out } = await run("ipam check --show-problem-ips");
  assert.equal(code, 1);
  assert.match(out, /10\.0\.0\.0 is allocated to handle "net\.a", and nobody uses it/);
  assert.match(out, /10\.0\.0\.6 is used by Workload default\/free, and not allocated/);
  assert.match(out, /10\.0\.0\.1 is used by Workload default\/b and Workload default\/twice/);
  assert.match(out, /192\.0\.2\.1 of Workload default\/far lies in no pool/);
  assert.match(out, /"net\.b" counts 3 addresses of 10\.0\.0\.0\/29, which gives it 1/);
  assert.match(out, /found 5 problems/);
});

test("ipam check, why and release leave alone what garbage collection leaves alone", async () => {
  const ipam = ipamOn(datastore);
  const owner = { node: "node1", use: "Workload", num4: 1 } as const;
  await ipam.autoAssign({ ...owner, handle: "mine", attributes: { note: "by hand" } });
  await ipam.autoAssign({
    ...owner,
    handle: "net.b",
    attributes: { node: "node1", pod: "b", namespace: "default" },
  });
  const report = join(folder, "unclear.json");
  const { code, out } = await run(`ipam check --show-problem-ips -o ${report}`);
  assert.equal(code, 1);
  assert.match(out, /Found 0 IPs that are allocated in IPAM but not actually in use\./);
  assert.match(
    out,
    /Found 2 IPs that are allocated in IPAM, and may or may not be in use\.\n {2}10\.0\.0\.2 is allocated to handle "mine", nobody is seen to use it, and it does not say of which pod it is\n {2}10\.0\.0\.3 .*, and its handle has others that are in use/,
  );
  assert.match(
    (await run("ipam why 10.0.0.2")).out,
    /Nobody is seen to use it, but it does not say of which pod it is: it is not given back by itself\./,
  );
  const released = await run(`ipam release --force --from-report ${report}`);
  assert.equal(released.out, "Released 0 of 0 leaked IPs\n");
  assert.equal((await ipam.holderOf(parseIpAddr("10.0.0.2")))?.handle, "mine");
});

test("ipam release --from-report takes what is leaked in all reports, and still is", async () => {
  const [first, second] = [join(folder, "1.json"), join(folder, "2.json")];
  await removeEndpoint("a");
  await run(`ipam check -o ${first}`);
  await removeEndpoint("b");
  await run(`ipam check -o ${second}`);
  const refused = await run(`ipam release --from-report ${first} --from-report ${second}`);
  assert.equal(refused.code, 1);
  const { code, out } = await run(
    `ipam release --force --from-report ${first} --from-report ${second}`,
  );
  assert.deepEqual([code, out], [0, "Released 1 of 1 leaked IPs\n"]);
  const ipam = ipamOn(datastore);
  assert.equal(await ipam.holderOf(parseIpAddr("10.0.0.0")), undefined);
  assert.equal((await ipam.holderOf(parseIpAddr("10.0.0.1")))?.handle, "net.b");
});

test("ipam release --from-report leaves an address that was given to somebody else since", async () => {
  const report = join(folder, "old.json");
  await removeEndpoint("a");
  await run(`ipam check -o ${report}`);
  const text = await readFile(report, "utf8");
  await writeFile(report, text.replace(/("sequenceNumber": ")\d/, "$10"));
  const { code, err } = await run(`ipam release --force --from-report ${report}`);
  assert.equal(code, 1);
  assert.match(err, /10\.0\.0\.0.*assigned again since/);
  assert.equal((await ipamOn(datastore).holderOf(parseIpAddr("10.0.0.0")))?.handle, "net.a");
});

test("ipam release --from-report refuses another cluster always, another version without --force", async () => {
  const report = join(folder, "other.json");
  await removeEndpoint("a");
  const info = await datastore.create<"ClusterInformation">({
    apiVersion: "projectcalico.org/v3",
    kind: "ClusterInformation",
    metadata: { name: "default" },
    spec: { clusterGUID: "one", calicoVersion: "v1", datastoreReady: false },
  });
  await run(`ipam check -o ${report}`);
  const changed = await datastore.update<"ClusterInformation">({
    ...info,
    spec: { ...info.spec, calicoVersion: "v2" },
  });
  const versions = `the report ${report} was made by version "v1", and the cluster has "v2"`;
  assert.equal(
    (await run(`ipam release --from-report ${report}`)).err,
    `Cannot release leaked addresses: ${versions}; --force does\n`,
  );
  await datastore.update<"ClusterInformation">({
    ...changed,
    spec: { ...changed.spec, clusterGUID: "two" },
  });
  assert.equal(
    (await run(`ipam release --force --from-report ${report}`)).err,
    `Cannot release leaked addresses of the report ${report}: it is of cluster "one", and this is "two"\n`,
  );
  const latest = await datastore.get({ kind: "ClusterInformation", name: "default" });
  await datastore.update<"ClusterInformation">({
    ...latest,
    spec: { ...latest.spec, clusterGUID: "one" },
  });
  const { code, out, err } = await run(`ipam release --force --from-report ${report}`);
  assert.deepEqual(
    [code, out, err],
    [0, "Released 1 of 1 leaked IPs\n", `Warning: ${versions}: going on because of --force\n`],
  );
});

test("ipam release --ip of an address that nobody has ends with 1", async () => {
  assert.deepEqual(await run("ipam release --ip 10.0.0.5"), {
    code: 1,
    out: "",
    err: "IP address 10.0.0.5 is not assigned\n",
  });
});

test("ipam configure refuses what the resource may not say, and writes nothing", async () => {
  for (const [words, message] of [
    [
      "--max-blocks-per-host 2",
      /^Cannot accept IPAMConfiguration "default": spec\.maxBlocksPerHost: may be above 0 only when strictAffinity is true\n$/,
    ],
    ["--ip-cooldown-seconds 1201", /spec\.ipCooldownSeconds: /],
    [
      "--kubevirt-ip-persistence maybe",
      /^Cannot accept --kubevirt-ip-persistence "maybe": it must be Enabled or Disabled\n$/,
    ],
    ["--ip-cooldown-seconds=-1", /^Cannot go on without --strictaffinity/],
  ] as const) {
    const { code, err } = await run(`ipam configure ${words}`);
    assert.equal(code, 1);
    assert.match(err, message);
    assert.deepEqual((await datastore.list("IPAMConfiguration")).items, []);
  }
});

test("ipam check and why know the addresses of a virtual machine, with its pod and without", async () => {
  let state: MachineState = "there";
  const ofPod = async () => undefined;
  Object.assign(datastore, { virtualMachines: { ofPod, stateOf: async () => state } });
  const pod = { namespace: "default", pod: "virt-launcher-db-x" };
  await ipamOn(datastore).autoAssign({
    node: "node1",
    use: "Workload",
    num4: 1,
    handle: "net.vmi.default.db",
    attributes: { ...pod, node: "node1", "vmi-name": "db" },
  });
  await (await ipamOn(datastore).sharedHandle("net.vmi.default.db")).leave(pod);
  assert.equal((await run("ipam check")).code, 0);
  const { out } = await run("ipam why 10.0.0.2");
  assert.match(out, /virtual machine {2}default\/db/);
  assert.match(out, /No pod has it: its virtual machine is there/);
  state = "gone";
  assert.match((await run("ipam why 10.0.0.2")).out, /its virtual machine is gone: it is leaked/);
  assert.equal((await run("ipam check")).code, 1);
  state = "unknown";
  assert.match((await run("ipam why 10.0.0.2")).out, /default\/db is there cannot be read/);
});

test("ipam release --ip, why and configure say what they did", async () => {
  assert.match((await run("ipam why 10.0.0.1")).out, /used by Workload default\/b on node1/);
  await removeEndpoint("b");
  assert.match((await run("ipam why 10.0.0.1")).out, /it is leaked/);
  assert.match((await run("ipam release --ip 10.0.0.1")).out, /Successfully released/);
  assert.match((await run("ipam why 10.0.0.1")).out, /is free/);
  await run("ipam configure --ip-cooldown-seconds 60 --strictaffinity true");
  await run("ipam configure --max-blocks-per-host 2");
  const { spec } = await datastore.get({ kind: "IPAMConfiguration", name: "default" });
  assert.deepEqual(spec, { ipCooldownSeconds: 60, strictAffinity: true, maxBlocksPerHost: 2 });
});

for (const [command, words] of [
  ["ipam", /must be one of show/],
  ["ipam why 10.0.0", /ADDRESS "10\.0\.0": it is no IP address/],
  ["ipam configure --strictaffinity maybe", /--strictaffinity "maybe"/],
  ["ipam configure --max-blocks-per-host -1", /max-blocks-per-host/],
  ["ipam configure", /without --strictaffinity/],
  ["ipam release --from-report /nonexistent", /Cannot read the report \/nonexistent/],
] as const) {
  test(`${command}: is refused by name`, async () => {
    const { code, err } = await run(command);
    assert.equal(code, 1);
    assert.match(err, words);
  });
}
