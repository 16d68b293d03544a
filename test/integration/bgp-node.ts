import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { calicoApiVersion } from "../../src/api/meta.ts";
import type { ResourceOfKind } from "../../src/api/resource-of-kind.ts";
import type { SpeakerStatus } from "../../src/bgp/speaker/status.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { waitFor } from "../support/wait-for.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** An embedded datastore in a folder of its own. */
export interface TestStore {
  readonly folder: string;
  readonly datastore: Datastore;
  readonly create: <K extends keyof ResourceOfKind>(
    kind: K,
    name: string,
    spec: ResourceOfKind[K]["spec"],
    namespace?: string,
  ) => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function openTestStore(): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), "tt-bgp-"));
  const datastore = openEmbeddedDatastore(join(folder, "datastore"));
  return {
    folder,
    datastore,
    create: async (kind, name, spec, namespace) => {
      const metadata = namespace === undefined ? { name } : { name, namespace };
      const resource = { apiVersion: calicoApiVersion, kind, metadata, spec };
      await datastore.create(resource as never);
    },
    close: async () => {
      await datastore.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** One `tortie bgp` in a network namespace. */
export interface BgpNode {
  readonly status: () => Promise<SpeakerStatus>;
  readonly ask: (request: string) => Promise<unknown>;
  /** Routes of protocol 12: "10.244.2.0/26 via 10.99.0.2 dev eth0 metric 1024". */
  readonly routes: (family?: 4 | 6) => Promise<string[]>;
  readonly kill: (signal: NodeJS.Signals) => Promise<void>;
  readonly log: () => string;
}

export function startBgpNode(name: string, netns: string, store: TestStore): BgpNode {
  const runDir = join(store.folder, name);
  let log = "";
  const child = spawn("ip", ["netns", "exec", netns, process.execPath, program, "bgp"], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: process.env["PATH"],
      NODENAME: name,
      DATASTORE_TYPE: "embedded",
      TORTIE_DATASTORE_PATH: join(store.folder, "datastore"),
      TORTIE_RUN_DIR: runDir,
      FELIX_LOGSEVERITYSCREEN: "Debug",
    },
  });
  child.stderr.on("data", (chunk) => {
    log += chunk;
  });
  const ask = (request: string) => askSocket(join(runDir, "bgp.sock"), request);
  return {
    ask,
    status: async () => (await ask("status")) as SpeakerStatus,
    routes: (family = 4) => birdRoutes(netns, family),
    kill: (signal) => kill(child, signal),
    log: () => log,
  };
}

/** What a command of `tortie` prints that works on the datastore. */
export async function tortie(store: TestStore, ...args: readonly string[]): Promise<string> {
  const env = {
    PATH: process.env["PATH"],
    DATASTORE_TYPE: "embedded",
    TORTIE_DATASTORE_PATH: join(store.folder, "datastore"),
  };
  return (await run(process.execPath, [program, ...args], { env })).stdout;
}

export async function birdRoutes(netns: string, family: 4 | 6): Promise<string[]> {
  const { stdout } = await run("ip", [`-${family}`, "-n", netns, "route", "show", "proto", "bird"]);
  return stdout
    .split("\n")
    .map((line) => line.replaceAll(/ +/g, " ").trim())
    .filter((line) => line !== "")
    .sort();
}

/** Waits until the node has exactly these sessions Established. */
export function established(node: BgpNode, count: number): Promise<unknown> {
  const isUp = async () => {
    const { peers } = await node.status();
    return peers.length === count && peers.every(({ state }) => state === "Established");
  };
  return waitFor(isUp, { what: "sessions", timeoutMs: 20_000 });
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await exit;
}

export function askSocket(path: string, request: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(path, () => socket.write(`${request}\n`));
    socket.setTimeout(3000, () => socket.destroy(new Error("no answer")));
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => {
      try {
        resolve(JSON.parse(text));
      } catch (error) {
        reject(error);
      }
    });
  });
}
