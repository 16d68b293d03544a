import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import koffi from "koffi";
import { keyOf } from "../../src/api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../../src/api/resource-of-kind.ts";
import type { NetworkSet } from "../../src/api/resources/network-set.ts";
import type { ResourceList } from "../../src/datastore/datastore.ts";
import { felixConfig } from "../../src/felix/config/felix-config.ts";
import { Felix } from "../../src/felix/felix-service.ts";
import { type ExecHelper, startExecHelper } from "../../src/kernel/exec-helper.ts";
import { detectBackend } from "../../src/kernel/iptables/backend.ts";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { networkSet, node, pod, pool, profile } from "../states/resources.ts";
import { MemoryDatastore } from "../support/memory-datastore.ts";
import { waitFor } from "../support/wait-for.ts";

/**
 * Felix on the real kernel and a datastore in memory. This process moves into a network namespace of
 * its own at once, and what it starts with it: the namespace ends with them.
 */

const CLONE_NEWNET = 0x40000000;
const unshare = koffi.load("libc.so.6").func("int unshare(int)");
assert.equal(unshare(CLONE_NEWNET), 0, "this test needs root");

/** Lists nothing before it was opened. */
class GatedDatastore extends MemoryDatastore {
  #open: () => void = () => undefined;
  readonly #gate = new Promise<void>((resolve) => {
    this.#open = resolve;
  });

  open(): void {
    this.#open();
  }

  override async list<K extends Kind>(kind: K): Promise<ResourceList<ResourceOfKind[K]>> {
    await this.#gate;
    return super.list(kind);
  }
}

const run = (program: string, ...args: readonly string[]) =>
  execFileSync(program, args, { encoding: "utf8" });
const ip = (words: string) => run("ip", ...words.split(" "));
const filter = () => run("iptables-nft-save", "-t", "filter");
const folder = mkdtempSync(join(tmpdir(), "tortie-felix-"));
const lock = {
  apiVersion: "projectcalico.org/v3",
  kind: "ClusterInformation" as const,
  metadata: { name: "default" },
  spec: { datastoreReady: false },
};
const datastore = new GatedDatastore([
  lock,
  node("node-a", "192.168.1.11/24"),
  pool("default", "10.0.0.0/16"),
  profile("kns.prod"),
]);
const log: string[] = [];
const stop = new AbortController();
let exec: ExecHelper;
let kernel: Kernel;
let felix: Felix;
let running: Promise<void>;

before(async () => {
  exec = startExecHelper();
  kernel = openLinuxKernel();
  ip("link set lo up");
  ip("route add blackhole 10.0.0.64/26 proto 80");
  run("iptables-nft", "-N", "cali-tw-left");
  felix = new Felix("node-a", felixConfig({ env: { FELIX_ENDPOINTSTATUSPATHPREFIX: folder } }), {
    datastore,
    kernel,
    exec,
    backend: await detectBackend(exec, "nft"),
    clock: systemClock,
    log: createLogger({ name: "felix", level: "warn" }, { write: (line) => void log.push(line) }),
    decode: (resource) => resource,
  });
  running = felix.run(stop.signal);
});
after(async () => {
  stop.abort();
  await running;
  kernel.close();
  exec.close();
  rmSync(folder, { recursive: true });
});

function endpoint(address: string, containerID: string) {
  return pod("node--a-k8s-a-eth0", {
    ip: `${address}/32`,
    containerID,
    pod: "a",
    interfaceName: "calia",
  });
}
const key = keyOf(endpoint("10.0.0.1", "x"));
const addVeth = () => ip("link add calia up type veth peer name peera");

async function setReady(datastoreReady: boolean): Promise<void> {
  const present = await datastore.get(keyOf(lock));
  await datastore.update<"ClusterInformation">({ ...present, spec: { datastoreReady } });
}

test("nothing is written before the datastore is in sync and unlocked, whatever the agent offers", async () => {
  addVeth();
  felix.offerEndpoint(endpoint("10.0.0.1", "early"));
  await delay(300);
  const untouched = async () => {
    assert.match(ip("route"), /^blackhole 10\.0\.0\.64\/26 proto 80/m);
    assert.doesNotMatch(ip("route"), /calia/);
    assert.deepEqual(filter().match(/cali-\S+/g), ["cali-tw-left"]);
    await assert.rejects(felix.endpointProgrammed(key, AbortSignal.timeout(50)), /timeout/);
  };
  await untouched();
  datastore.open();
  await delay(300);
  await untouched();
  await setReady(true);
  await felix.ready;
  assert.doesNotMatch(ip("route"), /10\.0\.0\.64/);
  assert.doesNotMatch(filter(), /cali-tw-left/);
});

test("endpointProgrammed() resolves when the endpoint's route and chains are in the kernel", async () => {
  await felix.endpointProgrammed(key, AbortSignal.timeout(5_000));
  assert.match(ip("route"), /^10\.0\.0\.1 dev calia scope link/m);
  assert.match(filter(), /-A cali-tw-calia/);
  assert.match(filter(), /-A cali-to-wl-dispatch -o calia/);
});

test("endpointProgrammed() of a pod made anew does not mean the last one", async () => {
  felix.withdrawEndpoint(key);
  ip("link del calia");
  addVeth();
  felix.offerEndpoint(endpoint("10.0.0.2", "anew"));
  await felix.endpointProgrammed(key, AbortSignal.timeout(5_000));
  assert.match(ip("route"), /^10\.0\.0\.2 dev calia scope link/m);
  assert.doesNotMatch(ip("route"), /10\.0\.0\.1 /);
});

test("endpointProgrammed() waits for the interface, and ends with its signal's reason", async () => {
  felix.withdrawEndpoint(key);
  ip("link del calia");
  felix.offerEndpoint(endpoint("10.0.0.3", "slow"));
  const reason = new Error("patience is over");
  const impatient = new AbortController();
  const waiting = felix.endpointProgrammed(key, impatient.signal);
  await delay(200);
  impatient.abort(reason);
  await assert.rejects(waiting, reason);
  const patient = felix.endpointProgrammed(key, AbortSignal.timeout(5_000));
  addVeth();
  await patient;
  assert.match(ip("route"), /^10\.0\.0\.3 dev calia scope link/m);
});

test("withdrawEndpoint() takes routes and chains away", async () => {
  felix.withdrawEndpoint(key);
  await waitFor(() => !ip("route").includes("calia"), { what: "the route" });
  await waitFor(() => !filter().includes("calia"), { what: "the chains" });
});

test("a datastore that is locked later changes nothing in the kernel until it is unlocked", async () => {
  ip("link add calib up type veth peer name peerb");
  const stored = pod("node--a-k8s-b-eth0", {
    ip: "10.0.0.4/32",
    pod: "b",
    interfaceName: "calib",
  });
  await datastore.create<"WorkloadEndpoint">(stored);
  const routed = () => /^10\.0\.0\.4 dev calib/m.test(ip("route"));
  await waitFor(routed, { what: "the route" });
  await setReady(false);
  await datastore.delete(keyOf(stored));
  await delay(300);
  assert.ok(routed());
  await setReady(true);
  await waitFor(() => !routed(), { what: "no route" });
});

test("an object that cannot be read is said with its name and field, and the rest goes on", async () => {
  const set = (name: string, net: string) =>
    networkSet(name, [net], { namespace: "prod", labels: { role: "outside" } }) as NetworkSet;
  await datastore.create<"NetworkSet">(set("broken", "10.0.0.300/32"));
  const told = () =>
    log.filter((line) => line.includes('"broken"')).map((line) => JSON.parse(line));
  await waitFor(() => told().length === 1, { what: "the log" });
  const [{ kind, namespace, name, reason, msg }] = told();
  const key = { kind: "NetworkSet", namespace: "prod", name: "broken" };
  assert.deepEqual({ kind, namespace, name, msg }, { ...key, msg: "resource ignored" });
  assert.match(reason, /Cannot read nets: .*10\.0\.0\.300/);
  assert.equal(felix.health().CalculationGraph.ready, true);
});
