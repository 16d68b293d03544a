import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { compareText } from "../lib/collections.ts";
import { InputError } from "../lib/errors.ts";
import type { LabRequest } from "./lab-plan.ts";

/** Files of one lab, all in one folder that `lab down` removes. */
export interface LabPaths {
  readonly folder: string;
  readonly state: string;
  readonly pods: string;
  readonly datastore: string;
  readonly conflist: string;
  readonly etcdFolder: string;
  readonly etcdSocket: string;
  readonly birdFolder: string;
  readonly controllersFolder: string;
  nodeFolder(node: string): string;
  nodeLog(node: string): string;
  runFolder(node: string): string;
  cniSocket(node: string): string;
  /** Deletions that no agent was there for. */
  cniSpool(node: string): string;
  bgpSocket(node: string): string;
}

export function labPaths(name: string, env: NodeJS.ProcessEnv = process.env): LabPaths {
  const folder = join(env["TORTIE_LAB_DIR"] ?? "/run/tortie/lab", name);
  const nodeFolder = (node: string) => join(folder, "nodes", node);
  const runFolder = (node: string) => join(nodeFolder(node), "run");
  return {
    folder,
    state: join(folder, "lab.json"),
    pods: join(folder, "pods"),
    datastore: join(folder, "datastore"),
    conflist: join(folder, "10-calico.conflist"),
    etcdFolder: join(folder, "etcd"),
    etcdSocket: join(folder, "etcd", "etcd.sock:0"),
    birdFolder: join(folder, "bird"),
    controllersFolder: join(folder, "controllers"),
    nodeFolder,
    nodeLog: (node) => join(nodeFolder(node), "node.log"),
    runFolder,
    cniSocket: (node) => join(runFolder(node), "cni.sock"),
    cniSpool: (node) => join(nodeFolder(node), "cni-deletions"),
    bgpSocket: (node) => join(runFolder(node), "bgp.sock"),
  };
}

/** A pod that `pod add` made, or is making: written down before it exists, so that it can be removed. */
export interface LabPod {
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  readonly netns: string;
  readonly containerId: string;
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly LabPort[];
}

export interface LabPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
}

export interface LabState {
  readonly request: LabRequest;
  /** "starting" until every node is up: a lab that stays so was interrupted. */
  readonly phase: "starting" | "up";
  /** Port of the lab's etcd on loopback of the caller's namespace. */
  readonly etcdPort?: number;
}

export function readState(paths: LabPaths): LabState | undefined {
  if (!existsSync(paths.state)) return undefined;
  return JSON.parse(readFileSync(paths.state, "utf8")) as LabState;
}

/** @throws {InputError} when there is no such lab. */
export function requireState(name: string, paths: LabPaths): LabState {
  const state = readState(paths);
  if (state !== undefined) return state;
  throw new InputError(`Cannot find the lab "${name}": start it with \`bin/tortie lab up\``);
}

export function writeState(paths: LabPaths, state: LabState): void {
  writeJson(paths.state, state);
}

/** Pods in order of node and name. One file a pod, so that two `pod add` never meet. */
export function readPods(paths: LabPaths): LabPod[] {
  if (!existsSync(paths.pods)) return [];
  return readdirSync(paths.pods)
    .filter((file) => file.endsWith(".json"))
    .map((file) => JSON.parse(readFileSync(join(paths.pods, file), "utf8")) as LabPod)
    .sort((a, b) => compareText(podOrder(a), podOrder(b)));
}

export function writePod(paths: LabPaths, pod: LabPod): void {
  writeJson(join(paths.pods, `${pod.netns}.json`), pod);
}

export function forgetPod(paths: LabPaths, pod: LabPod): void {
  rmSync(join(paths.pods, `${pod.netns}.json`), { force: true });
}

function podOrder(pod: LabPod): string {
  const number = pod.node.replace(/\d+$/, (digits) => digits.padStart(4, "0"));
  return `${number}/${pod.namespace}/${pod.name}`;
}

function writeJson(file: string, value: unknown): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}`;
  writeFileSync(next, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(next, file);
}

export function removeState(paths: LabPaths): void {
  rmSync(paths.folder, { recursive: true, force: true });
}
