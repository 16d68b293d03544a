import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { beforeEach, test } from "node:test";
import { drainAnnotation } from "../../../src/api/drain.ts";
import { electedLabel } from "../../../src/api/elected-reflectors.ts";
import { nodeDrainVerb } from "../../../src/cli/node-drain.ts";
import { runVerb } from "../../../src/cli/resource-command.ts";
import { rewrite } from "../../../src/datastore/rewrite.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { waitFor } from "../../support/wait-for.ts";

const apiVersion = "projectcalico.org/v3";
let datastore = new MemoryDatastore();
let clock = new FakeClock();

beforeEach(async () => {
  datastore = new MemoryDatastore();
  clock = new FakeClock();
  const metadata = { name: "node1", annotations: { other: "stays" } };
  await datastore.create<"Node">({ apiVersion, kind: "Node", metadata, spec: {} });
  for (const [index, cidr] of ["10.244.1.0/26", "10.244.1.64/26"].entries()) {
    await datastore.create<"BlockAffinity">({
      apiVersion,
      kind: "BlockAffinity",
      metadata: { name: `node1-${index}` },
      spec: { node: "node1", cidr, state: "confirmed" },
    });
  }
  await datastore.create<"WorkloadEndpoint">({
    apiVersion,
    kind: "WorkloadEndpoint",
    metadata: { name: "node1-k8s-a-eth0", namespace: "default" },
    spec: {
      orchestrator: "k8s",
      node: "node1",
      pod: "a",
      endpoint: "eth0",
      ipNetworks: ["10.244.1.7/32"],
      interfaceName: "cali1",
    },
  });
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What a command has printed so far, and how it ends. */
interface Running {
  readonly printed: () => string;
  readonly ended: Promise<Ran>;
}

function run(command: string): Promise<Ran> {
  return start(command).ended;
}

function start(command: string, signal = new AbortController().signal): Running {
  let [out, err] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (out += text) },
    stderr: { write: (text: string) => (err += text) },
    stdin: Readable.from([]),
    env: { NODENAME: "node1" },
  };
  const words = command === "" ? [] : command.split(" ");
  const ports = { openDatastore: async () => datastore, clock, signal };
  const verb = { name: "node drain", verb: nodeDrainVerb };
  const ended = runVerb(verb, words, io, ports).then((code) => ({ code, out, err }));
  return { printed: () => out, ended };
}

/** Lets time go by until a command has printed this. */
async function prints({ printed }: Running, text: string): Promise<void> {
  const isPrinted = async () => {
    await clock.advanceSlowly(500);
    return printed().includes(text);
  };
  await waitFor(isPrinted, { what: text });
}

async function annotations(): Promise<Readonly<Record<string, string>> | undefined> {
  return (await datastore.get<"Node">({ kind: "Node", name: "node1" })).metadata.annotations;
}

test("drain sets the annotation of this node or another, and --undo removes it", async () => {
  assert.deepEqual(await run(""), { code: 0, out: "Node node1 is drained\n", err: "" });
  assert.deepEqual(await annotations(), { other: "stays", [drainAnnotation]: "true" });
  assert.equal((await run("node1")).out, "Node node1 is drained already\n");
  assert.equal((await run("node1 --undo")).out, "Node node1 is not drained any more\n");
  assert.deepEqual(await annotations(), { other: "stays" });
  assert.equal((await run("--undo")).out, "Node node1 is not drained\n");
});

test("--dry-run says what becomes of each block, and changes nothing", async () => {
  const { code, out } = await run("node1 --dry-run");
  assert.equal(code, 0);
  assert.equal(
    out,
    "10.244.1.0/26 is told with GRACEFUL_SHUTDOWN\n" +
      "10.244.1.64/26 is withdrawn: it holds no workload\n",
  );
  assert.deepEqual(await annotations(), { other: "stays" });
  assert.match((await run("--undo --dry-run")).out, /^10.244.1.0\/26 is told as usual$/m);
});

test("--wait ends when the node has no workload", async () => {
  const waiting = start("node1 --wait");
  await prints(waiting, "Workloads left: 1\n");
  await datastore.delete({
    kind: "WorkloadEndpoint",
    name: "node1-k8s-a-eth0",
    namespace: "default",
  });
  await prints(waiting, "No workload is left\n");
  const { code, out } = await waiting.ended;
  assert.equal(code, 0);
  assert.equal(out, "Node node1 is drained\nWorkloads left: 1\nNo workload is left\n");
});

test("--wait ends when the node is no elected route reflector any more", async () => {
  const key = { kind: "Node", name: "node1" } as const;
  await datastore.delete({
    kind: "WorkloadEndpoint",
    name: "node1-k8s-a-eth0",
    namespace: "default",
  });
  await rewrite<"Node">(datastore, key, ({ metadata, spec, ...rest }) => ({
    ...rest,
    metadata: { ...metadata, labels: { [electedLabel]: "10.0.0.1" } },
    spec: { ...spec, bgp: { routeReflectorClusterID: "10.0.0.1" } },
  }));
  const waiting = start("node1 --wait");
  await prints(waiting, "Workloads left: 0; it is a route reflector\n");
  await rewrite<"Node">(datastore, key, ({ metadata, ...rest }) => ({
    ...rest,
    metadata: { ...metadata, labels: {} },
  }));
  await prints(waiting, "No workload is left\n");
  assert.equal((await waiting.ended).code, 0);
});

test("Ctrl-C ends --wait; the node stays drained", async () => {
  const stop = new AbortController();
  const waiting = start("node1 --wait", stop.signal);
  await prints(waiting, "Workloads left: 1\n");
  stop.abort();
  assert.equal((await waiting.ended).code, 1);
  assert.equal((await annotations())?.[drainAnnotation], "true");
});

test("What cannot be meant is refused", async () => {
  for (const [command, reason] of [
    ["node1 node2", /more than one node/],
    ["node1 --undo --wait", /--wait with --undo/],
    ["nobody", /nobody/],
  ] as const) {
    const { code, err } = await run(command);
    assert.equal(code, 1, command);
    assert.match(err, reason, command);
  }
});

test("--help says where it is kept and what does not drain", async () => {
  const { out } = await run("--help");
  assert.match(out, /tortie\.dev\/drain/);
  assert.match(out, /no cordon, stop or update/);
});
