import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { profilesOfNamespace } from "../api/kubernetes/namespace.ts";
import { calicoApiVersion } from "../api/meta.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { openDatastore } from "../datastore/open-datastore.ts";
import { InputError } from "../lib/errors.ts";
import { isAlive, type ProcessIdentity } from "../lib/own-process.ts";
import { controllersPidFile, startControllers } from "./controllers.ts";
import { converged } from "./converged.ts";
import {
  nodeProcesses,
  processOfPidFile,
  startDaemon,
  stopProcesses,
  tortieProgram,
} from "./daemons.ts";
import { startEtcd } from "./etcd.ts";
import { createFabric, netnsWithPrefix, removeNetns } from "./fabric.ts";
import { type LabPlan, type LabRequest, planLab } from "./lab-plan.ts";
import {
  type LabPaths,
  type LabState,
  labPaths,
  readPods,
  readState,
  removeState,
  writeState,
} from "./lab-state.ts";
import { datastoreEnvironment, nodeEnvironment } from "./node-environment.ts";
import { addPod, agentReady, labConflist } from "./pods.ts";
import { startTopOfRack } from "./top-of-rack.ts";

/** Told what is being done, a line at a time. */
export type Progress = (line: string) => void;

export interface LabUpOptions {
  readonly progress: Progress;
  /** How long the nodes' start may take, and then the routes. */
  readonly timeoutMs: number;
}

export const defaultTimeoutMs = 60_000;

/**
 * Brings a lab up, or finds it up.
 *
 * @returns false when the same lab was up already.
 * @throws {InputError} when a lab of this name is up with other arguments; on any other failure what
 * was built is removed again.
 */
export async function labUp(request: LabRequest, options: LabUpOptions): Promise<boolean> {
  const plan = planLab(request);
  const paths = labPaths(request.name);
  const present = readState(paths);
  if (present !== undefined) {
    if (present.phase === "up" && sameRequest(present.request, request)) return false;
    throw new InputError(
      present.phase === "up"
        ? `Cannot start the lab "${request.name}": it is up with other arguments (${describe(present.request)}). Stop it first: bin/tortie lab down --lab ${request.name}`
        : `Cannot start the lab "${request.name}": an earlier start did not finish. Clean up first: bin/tortie lab down --lab ${request.name}`,
    );
  }
  try {
    await build(request, plan, paths, options);
    return true;
  } catch (error) {
    const logs = plan.nodes.map(({ name }) => lastLines(paths.nodeLog(name))).join("");
    await labDown(request.name, () => undefined);
    if (logs !== "") options.progress(`Last words of the nodes:\n${logs}`);
    throw error;
  }
}

async function build(
  request: LabRequest,
  plan: LabPlan,
  paths: LabPaths,
  { progress, timeoutMs }: LabUpOptions,
): Promise<void> {
  let state: LabState = { request, phase: "starting" };
  writeState(paths, state);
  progress(`fabric: ${plan.segments.length} segment(s), ${plan.nodes.length} node(s), one router`);
  await createFabric(plan);
  writeFileSync(paths.conflist, JSON.stringify(labConflist(plan.families), null, 2), {
    mode: 0o600,
  });
  if (request.datastore === "etcdv3") {
    progress("datastore: etcd");
    state = { ...state, etcdPort: await startEtcd(paths) };
    writeState(paths, state);
  }
  if (request.wireguard) {
    await withDatastore(state, paths, (datastore) => enableWireguard(plan, datastore));
  }
  progress(`nodes: ${plan.nodes.map(({ name }) => name).join(", ")}`);
  startControllers(state, paths);
  const daemons = startNodes(plan, state, paths);
  await Promise.all(
    plan.nodes.map(({ name }) =>
      agentReady(name, paths, {
        timeoutMs,
        stillAlive: () => isAlive(daemons.get(name) ?? { pid: 0, startTime: "" }),
      }),
    ),
  );
  if (request.fabric === "bgp") {
    progress("fabric: BIRD on the router peers with every node");
    await withDatastore(state, paths, (datastore) => startTopOfRack(plan, paths, datastore));
  }
  await addInitialPods(request, plan, state, paths, progress);
  progress("waiting for BGP sessions and routes");
  await withDatastore(state, paths, (datastore) =>
    converged({ plan, request }, paths, { datastore, timeoutMs }),
  );
  writeState(paths, { ...state, phase: "up" });
}

/** In the datastore, where it can be changed: the nodes leave alone what they find there. */
async function enableWireguard({ families }: LabPlan, datastore: Datastore): Promise<void> {
  const spec = { wireguardEnabled: families.includes(4), wireguardEnabledV6: families.includes(6) };
  await datastore.create<"FelixConfiguration">({
    apiVersion: calicoApiVersion,
    kind: "FelixConfiguration",
    metadata: { name: "default" },
    spec,
  });
}

function startNodes(plan: LabPlan, state: LabState, paths: LabPaths): Map<string, ProcessIdentity> {
  return new Map(
    plan.nodes.map((node) => {
      mkdirSync(paths.runFolder(node.name), { recursive: true, mode: 0o700 });
      return [
        node.name,
        startDaemon({
          program: tortieProgram,
          args: ["node"],
          env: nodeEnvironment(node, plan, state, paths),
          netns: node.netns,
          log: paths.nodeLog(node.name),
        }),
      ];
    }),
  );
}

async function addInitialPods(
  request: LabRequest,
  plan: LabPlan,
  state: LabState,
  paths: LabPaths,
  progress: Progress,
): Promise<void> {
  if (request.pods === 0) return;
  progress(`pods: ${request.pods} on each node`);
  await withDatastore(state, paths, (datastore) => ensureNamespace("default", datastore));
  await Promise.all(
    plan.nodes.map(async ({ name }) => {
      for (let number = 1; number <= request.pods; number++) {
        const labels = { app: number === 1 ? "client" : "server" };
        const pod = { name: `pod${number}`, namespace: "default", labels, ports: [] };
        await addPod({ lab: request.name, node: name, ...pod }, paths);
      }
    }),
  );
}

/** A Kubernetes namespace exists for the lab when its profiles do. */
export async function ensureNamespace(name: string, datastore: Datastore): Promise<void> {
  for (const profile of profilesOfNamespace({ name })) {
    await datastore.create<"Profile">(profile).catch((error: unknown) => {
      if (!isDatastoreError(error, "already-exists")) throw error;
    });
  }
}

/** Stops and removes everything of a lab. A lab that is not there is no error. */
export async function labDown(name: string, progress: Progress): Promise<boolean> {
  const paths = labPaths(name);
  const state = readState(paths);
  if (state === undefined) return false;
  const plan = planLab(state.request);
  progress("stopping the nodes");
  const nodes = plan.nodes.map((node) => nodeProcesses(paths.runFolder(node.name)));
  await stopProcesses(
    nodes.flatMap(({ node }) => node ?? []),
    15_000,
  );
  await stopProcesses(
    plan.nodes.flatMap((node) => Object.values(nodeProcesses(paths.runFolder(node.name)))),
    5_000,
  );
  const servers = [
    controllersPidFile(paths),
    `${paths.etcdFolder}/etcd.pid`,
    `${paths.birdFolder}/bird.pid`,
  ];
  await stopProcesses(
    servers.flatMap((file) => processOfPidFile(file) ?? []),
    5_000,
  );
  progress("removing namespaces and files");
  const pods = readPods(paths).map(({ netns }) => netns);
  const leftovers = plan.nodes.flatMap(({ netns }) => netnsWithPrefix(`${netns}-`));
  const all = [...pods, ...leftovers, ...plan.nodes.map(({ netns }) => netns), plan.router];
  for (const netns of new Set(all)) await removeNetns(netns);
  removeState(paths);
  return true;
}

export async function withDatastore<Result>(
  state: LabState,
  paths: LabPaths,
  use: (datastore: Datastore) => Promise<Result>,
): Promise<Result> {
  const datastore = await openDatastore(datastoreEnvironment(state, paths, "host"));
  try {
    return await use(datastore);
  } finally {
    await datastore.close();
  }
}

function sameRequest(a: LabRequest, b: LabRequest): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function describe(request: LabRequest): string {
  return Object.entries(request)
    .filter(([key]) => key !== "name")
    .map(([key, value]) => `--${key.replaceAll(/[A-Z]/g, "-$&").toLowerCase()} ${value}`)
    .join(" ");
}

function lastLines(file: string): string {
  try {
    return readFileSync(file, "utf8").split("\n").slice(-8).join("\n");
  } catch {
    return "";
  }
}
