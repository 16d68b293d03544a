import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { writeHealth } from "../../src/felix/health/felix-health.ts";
import { processIdentity } from "../../src/lib/own-process.ts";
import { felixHealthFile } from "../../src/node/child-process-file.ts";
import { waitFor } from "../support/wait-for.ts";
import { ipamOn } from "../unit/ipam/cluster.ts";

/*
 * runNode() in a network namespace, on the real kernel and the embedded datastore. The daemons are
 * stand-ins that only live: what they do is not this test's matter.
 */

const netns = `tt-${process.pid}-node`;
/** `ip netns exec` puts it over /etc/hosts. */
const hostsFolder = `/etc/netns/${netns}`;
const folder = mkdtempSync(join(tmpdir(), "tortie-node-"));
const runDir = join(folder, "run");
const source = (path: string) => new URL(`../../${path}`, import.meta.url).href;
const ip = (...args: string[]) => void execFileSync("ip", args, { stdio: "pipe" });

writeFileSync(
  join(folder, "node.mjs"),
  `
const [subcommand] = process.argv.slice(2);
const { appendFileSync } = await import("node:fs");
appendFileSync("${folder}/starts-" + subcommand, process.pid + " " + process.env.NODENAME + "\\n");
if (subcommand !== "node") {
  process.on("SIGTERM", () => process.exit(0));
  setInterval(() => undefined, 1000);
} else {
  const { runNode } = await import("${source("src/node/node-service.ts")}");
  const { openEmbeddedDatastore } = await import("${source("src/datastore/embedded/embedded-datastore.ts")}");
  const { openLinuxKernel } = await import("${source("src/kernel/linux-kernel.ts")}");
  const { systemClock } = await import("${source("src/lib/clock.ts")}");
  const { createLogger } = await import("${source("src/lib/log.ts")}");
  const { randomBytes } = await import("node:crypto");
  const datastore = openEmbeddedDatastore("${folder}/store");
  const stop = new AbortController();
  process.on("SIGTERM", () => stop.abort());
  await runNode(process.env, {
    datastore, kernel: openLinuxKernel(), clock: systemClock,
    log: createLogger({ name: "node" }), random: randomBytes, version: "v0", ipv6: true,
    command: { program: process.execPath, args: [process.argv[1]] },
  })(stop.signal);
  await datastore.close();
  process.exit(0);
}
`,
);

before(() => {
  ip("netns", "add", netns);
  ip("-n", netns, "link", "set", "lo", "up");
  ip("-n", netns, "link", "add", "eth0", "mtu", "1500", "type", "veth", "peer", "name", "other");
  ip("-n", netns, "addr", "add", "192.0.2.11/24", "dev", "eth0");
  ip("-n", netns, "link", "set", "eth0", "up");
  mkdirSync(hostsFolder, { recursive: true });
  writeFileSync(join(hostsFolder, "hosts"), "127.0.0.1 localhost\n::1 localhost\n");
});
after(() => {
  ip("netns", "del", netns);
  rmSync(hostsFolder, { recursive: true });
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  for (const name of ["node", "felix", "bgp"]) {
    for (const pid of pids(name)) {
      if (processIdentity(pid) !== undefined) process.kill(pid, "SIGKILL");
    }
  }
});

const env = {
  PATH: process.env["PATH"] ?? "",
  NODENAME: "node1",
  IP: "autodetect",
  IP_AUTODETECTION_METHOD: "interface=eth0",
  CALICO_IPV4POOL_CIDR: "10.65.0.0/16",
  CALICO_IPV4POOL_VXLAN: "CrossSubnet",
  CALICO_IPV6POOL_CIDR: "none",
  CALICO_NODENAME_FILE: join(folder, "nodename"),
  FELIX_HEALTHENABLED: "true",
  TORTIE_RUN_DIR: runDir,
  TORTIE_MTU_FILE: join(folder, "mtu"),
};

function startNode(): { readonly child: ChildProcess; readonly ended: Promise<number | null> } {
  const args = ["netns", "exec", netns, process.execPath, join(folder, "node.mjs"), "node"];
  const child = spawn("ip", args, { env, stdio: ["ignore", "ignore", "pipe"] });
  child.stderr?.resume();
  return { child, ended: new Promise((resolve) => child.once("exit", resolve)) };
}

function pids(name: string): number[] {
  const file = join(folder, `starts-${name}`);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trim().split("\n");
  return lines.map((line) => Number(line.split(" ")[0]));
}

async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Timed out: ${what}`);
}

/** Status of the health endpoint, asked from inside the namespace at the address that deploy/tortie.yaml asks. */
function health(question: string, port = 9099): number {
  const ask = `fetch("http://127.0.0.1:${port}/${question}").then((r) => console.log(r.status), () => console.log(0))`;
  const out = execFileSync("ip", ["netns", "exec", netns, process.execPath, "-e", ask], {
    encoding: "utf8",
  });
  return Number(out);
}

/** What felix writes when it has programmed everything once. */
function felixIsReady(pid: number): void {
  const part = { ready: true, busyMs: 0 };
  const parts = { CalculationGraph: part, InternalDataplaneMainLoop: part };
  const timeoutsMs = { CalculationGraph: 0, InternalDataplaneMainLoop: 0 };
  const felix = { pid, health: parts, config: { enabled: true, timeoutsMs } };
  writeHealth(felixHealthFile(runDir), felix, Date.now());
}

test("runNode() makes the node, starts its daemons, outlives a kill and stops clean", async () => {
  // Of a felix before this one, which had any pid.
  mkdirSync(runDir, { mode: 0o700 });
  felixIsReady(1);
  const first = startNode();
  await until("daemons", () => pids("felix").length === 1 && pids("bgp").length === 1);
  const [felix = 0] = pids("felix");
  assert.equal(existsSync(felixHealthFile(runDir)), false);
  assert.match(readFileSync(join(folder, "starts-felix"), "utf8"), / node1$/m);
  assert.equal(readFileSync(join(folder, "mtu"), "utf8"), "1450");
  assert.equal(readFileSync(join(folder, "nodename"), "utf8"), "node1");
  assert.equal(statSync(runDir).mode & 0o777, 0o700);
  await until("liveness", () => health("liveness") === 200);
  assert.equal(health("readiness"), 503, "felix runs, and has not said that it is ready");
  felixIsReady(felix);
  await until("readiness", () => health("readiness") === 200);

  const datastore = openEmbeddedDatastore(join(folder, "store"));
  try {
    const node = await datastore.get({ kind: "Node", name: "node1" });
    assert.equal(node.spec.bgp?.ipv4Address, "192.0.2.11/24");
    assert.match(node.spec.ipv4VXLANTunnelAddr ?? "", /^10\.65\./);

    const pool = await datastore.get({ kind: "IPPool", name: "default-ipv4-ippool" });
    await datastore.update<"IPPool">({ ...pool, spec: { ...pool.spec, vxlanMode: "Never" } });
    await until("new MTU", () => readFileSync(join(folder, "mtu"), "utf8") === "1500");
    // The field goes first, then the address.
    await waitFor(async () => (await ipamOn(datastore).utilization())[0]?.inUse === 0);
    const { spec } = await datastore.get({ kind: "Node", name: "node1" });
    assert.equal(spec.ipv4VXLANTunnelAddr, undefined);

    const twin = startNode();
    assert.equal(await twin.ended, 1, "a second one of the same node refuses");

    first.child.kill("SIGKILL");
    await first.ended;
    assert.ok(processIdentity(felix) !== undefined, "felix lives on");
    const second = startNode();
    await until("readiness", () => health("readiness") === 200);
    assert.deepEqual(pids("felix"), [felix], "no second felix");

    const configuration = await datastore.get({ kind: "FelixConfiguration", name: "default" });
    const spec2 = { ...configuration.spec, healthPort: 9098 };
    await datastore.update<"FelixConfiguration">({ ...configuration, spec: spec2 });
    await until("readiness at the new port", () => health("readiness", 9098) === 200);

    second.child.kill("SIGTERM");
    assert.equal(await second.ended, 0);
    for (const pid of [...pids("felix"), ...pids("bgp")]) {
      assert.equal(processIdentity(pid), undefined);
    }
    for (const name of ["node", "felix", "bgp"]) {
      assert.ok(!existsSync(join(runDir, `${name}.pid`)), `${name}.pid is gone`);
    }
  } finally {
    await datastore.close();
  }
});
