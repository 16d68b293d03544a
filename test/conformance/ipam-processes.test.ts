import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { leaseNamespace } from "../../src/api/leases.ts";
import type { KubeControllersConfiguration } from "../../src/api/resources/kube-controllers-configuration.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { soakServers } from "../soak/servers.ts";
import type { SoakServer } from "../soak/soak.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { waitFor } from "../support/wait-for.ts";
import { createCluster, ipamOn, pool } from "../unit/ipam/cluster.ts";

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
const program = fileURLToPath(new URL("./assign-and-release.ts", import.meta.url));
const nodes = ["node0", "node1", "node2"];
const addressesEach = 12;

/** A worker of its own process, and what it said. */
class Worker {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;

  constructor(node: string, id: string, env: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, [program, node, id], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      this.lines.push(...parts);
    });
  }

  get held(): number {
    return this.lines.filter((line) => line.startsWith("held")).length;
  }

  async kill(): Promise<void> {
    assert.equal(this.#child.exitCode, null, "the worker has ended by itself");
    const ended = new Promise((resolve) => this.#child.on("close", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

function startControllers(env: NodeJS.ProcessEnv): ChildProcess {
  return spawn(tortie, ["controllers"], { env: { ...process.env, ...env }, stdio: "ignore" });
}

async function setGrace(datastore: Datastore, leakGracePeriod: string): Promise<void> {
  const key = { kind: "KubeControllersConfiguration", name: "default" } as const;
  const spec: KubeControllersConfiguration["spec"] = { controllers: { node: { leakGracePeriod } } };
  const present = await datastore.get(key);
  await datastore.update<"KubeControllersConfiguration">({ ...present, spec });
}

/** Kills each worker in the middle of its work; a second one goes on with the node. */
async function killedWorkers(env: NodeJS.ProcessEnv): Promise<string[]> {
  const ofNode = async (node: string) => {
    const lines: string[] = [];
    for (const life of ["a", "b"]) {
      const worker = new Worker(node, `${node}-${life}`, env);
      await waitFor(() => worker.held >= addressesEach, { timeoutMs: 120_000, what: "addresses" });
      await worker.kill();
      lines.push(...worker.lines);
    }
    return lines;
  };
  return (await Promise.all(nodes.map(ofNode))).flat();
}

/** What was said to be held, and not said to be released, is held; and no address twice. */
async function requireHeld(lines: readonly string[], datastore: Datastore): Promise<void> {
  const { allocations } = await ipamOn(datastore).audit();
  const holders = new Map(allocations.map(({ address, handle }) => [`${address}`, handle]));
  const released = new Set(lines.flatMap((line) => /^releasing (\S+)$/.exec(line)?.[1] ?? []));
  for (const line of lines) {
    const [, handle = "", address = ""] = /^held (\S+) (\S+)$/.exec(line) ?? [];
    if (handle === "" || released.has(handle)) continue;
    assert.equal(holders.get(address), handle, line);
  }
}

async function churn(server: SoakServer): Promise<void> {
  const datastore = await server.open();
  for (const node of nodes) await server.createNode(node);
  await createCluster(datastore, { pools: [pool("v4", { cidr: "10.0.0.0/22", blockSize: 28 })] });
  await datastore.create<"KubeControllersConfiguration">({
    apiVersion: "projectcalico.org/v3",
    kind: "KubeControllersConfiguration",
    metadata: { name: "default" },
    spec: { controllers: { node: { leakGracePeriod: "0" } } },
  } as KubeControllersConfiguration);
  const controllers = [startControllers(server.env), startControllers(server.env)];
  try {
    await requireHeld(await killedWorkers(server.env), datastore);
    await setGrace(datastore, "1s");
    const lease = { kind: "Lease", name: "tortie-controllers", namespace: leaseNamespace } as const;
    const leader = await waitFor(async () => (await datastore.get(lease)).spec.holderIdentity, {
      timeoutMs: 60_000,
      what: "a leader",
    });
    // One of the two leads; the other must take over.
    controllers[0]?.kill("SIGKILL");
    const nothingLeft = async () => {
      const { allocations, problems } = await ipamOn(datastore).audit();
      return allocations.length === 0 && problems.length === 0;
    };
    await waitFor(nothingLeft, { timeoutMs: 120_000, intervalMs: 250, what: `${leader}'s work` });
  } finally {
    for (const each of controllers) each.kill("SIGKILL");
    await datastore.close();
  }
}

describe("processes that assign and are killed", { concurrency: true }, () => {
  for (const [driver, start] of Object.entries(soakServers)) {
    const found = findKubeApiServer();
    const skip = driver === "kubernetes" && "missing" in found ? found.missing : false;
    test(`${driver}: no address is given twice, and garbage collection gives all back`, {
      skip,
    }, async () => {
      const server = await start();
      try {
        await churn(server);
      } finally {
        await server.remove();
      }
    });
  }
});
