import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Node } from "../api/resources/node.ts";
import { isLocked } from "../datastore/cluster-lock.ts";
import { type Datastore, DatastoreError, isDatastoreError } from "../datastore/datastore.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Clock } from "../lib/clock.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { IpFamily } from "../lib/ip-addr.ts";
import type { Logger } from "../lib/log.ts";
import { type HostFacts, renderCandidates } from "./autodetect.ts";
import { clusterDefaults, createMissing } from "./cluster-defaults.ts";
import { defaultPools, flag } from "./default-pools.ts";
import { type HostInterface, hostInterfaces } from "./host-interfaces.ts";
import {
  type AddressChoice,
  type AddressWish,
  addressWish,
  chooseAddress,
  conflictingNode,
  internalIpsOf,
} from "./node-addresses.ts";
import { nodeNameOf, nodenameFile } from "./node-name.ts";
import { asNumberOf, checkRouterId, nodeWith, sameNode } from "./node-resource.ts";
import { routeSource } from "./route-source.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** What start-up works with. */
export interface StartupPorts {
  readonly datastore: Datastore;
  readonly kernel: Pick<Kernel, "links" | "addresses">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Random octets. */
  random(count: number): Uint8Array;
  /** Our version, for ClusterInformation. */
  readonly version: string;
  /** The kernel has IPv6. */
  readonly ipv6: boolean;
}

/**
 * Makes this machine a node of the cluster (facts 1.1): its name, the cluster's default objects, its
 * Node resource with addresses, and default pools; of these only its Node while the datastore is
 * locked. Idempotent: a restart changes nothing.
 *
 * @returns the node's name.
 * @throws {InputError} for what a variable says, or an address that another node has.
 * @throws {DatastoreError} unavailable, unless WAIT_FOR_DATASTORE=true.
 */
export async function runStartup(
  env: Env,
  ports: StartupPorts,
  signal: AbortSignal,
): Promise<string> {
  const name = nodeNameOf(env);
  asNumberOf(env);
  writeNodeName(nodenameFile(env), name);
  await waitForDatastore(env, ports, signal);
  // What an import has not brought yet must not be made up.
  const locked = await isLocked(ports.datastore);
  if (locked) ports.log.warn({}, "the datastore is locked: no default objects are made");
  else await createClusterDefaults(env, ports);
  const interfaces = await refreshNode(env, name, ports);
  if (!locked) await createDefaultPools(env, ports, interfaces);
  return name;
}

function writeNodeName(file: string, name: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, name, { mode: 0o644 });
}

async function waitForDatastore(
  env: Env,
  { datastore, clock, log }: StartupPorts,
  signal: AbortSignal,
): Promise<void> {
  const patient = flag(env, "WAIT_FOR_DATASTORE", false);
  for (;;) {
    try {
      await datastore.get({ kind: "ClusterInformation", name: "default" });
      return;
    } catch (error) {
      if (isDatastoreError(error, "not-found")) return;
      if (!patient || !(error instanceof DatastoreError)) throw error;
      log.warn({ err: errorMessage(error) }, "waiting for the datastore");
      await clock.sleep(1000, signal);
    }
  }
}

async function createClusterDefaults(env: Env, ports: StartupPorts): Promise<void> {
  const defaults = clusterDefaults({
    guid: Buffer.from(ports.random(16)).toString("hex"),
    clusterType: env["CLUSTER_TYPE"] ?? "",
    version: ports.version,
  });
  for (const { kind, metadata } of await createMissing(ports.datastore, defaults)) {
    ports.log.info({ kind, object: metadata.name }, "created default object");
  }
}

async function createDefaultPools(
  env: Env,
  { datastore, random, ipv6, log }: StartupPorts,
  interfaces: readonly HostInterface[],
): Promise<void> {
  const { items } = await datastore.list("IPPool");
  const pools = defaultPools(env, {
    existing: items.map(({ spec }) => spec.cidr),
    hostAddresses: interfaces.flatMap(({ addresses }) => addresses.map(({ address }) => address)),
    ipv6,
    globalId: random(5),
  });
  for (const created of await createMissing(datastore, pools)) {
    log.info({ pool: created.metadata.name, spec: created.spec }, "created default pool");
  }
}

const maxAttempts = 10;

/**
 * Detects the node's addresses and writes its Node resource, when anything changed.
 *
 * @returns the host's interfaces.
 * @throws {InputError} when no address fits, or another node has it.
 */
export async function refreshNode(
  env: Env,
  name: string,
  ports: StartupPorts,
): Promise<readonly HostInterface[]> {
  for (let attempt = 1; ; attempt++) {
    const interfaces = await hostInterfaces(ports.kernel);
    try {
      await writeNode(env, { name, interfaces }, ports);
      return interfaces;
    } catch (error) {
      const raced = (["conflict", "already-exists", "not-found"] as const).some((code) =>
        isDatastoreError(error, code),
      );
      if (!raced || attempt >= maxAttempts) throw error;
    }
  }
}

async function writeNode(
  env: Env,
  own: { readonly name: string; readonly interfaces: readonly HostInterface[] },
  ports: StartupPorts,
): Promise<void> {
  const { datastore, log } = ports;
  const present = await presentNode(datastore, own.name);
  const v4 = await addressOf(env, 4, { present, interfaces: own.interfaces });
  const v6 = await addressOf(env, 6, { present, interfaces: own.interfaces });
  const asNumber = asNumberOf(env);
  const kubernetesName = env["CALICO_K8S_NODE_REF"] || (isKubernetes(env) ? own.name : undefined);
  const wanted = nodeWith(present, {
    ...own,
    ...(v4.address === undefined ? {} : { ipv4Address: v4.address }),
    ...(v6.address === undefined ? {} : { ipv6Address: v6.address }),
    ...(asNumber === undefined ? {} : { asNumber }),
    ...(kubernetesName === undefined ? {} : { kubernetesName }),
  });
  checkRouterId(env, v4.address);
  if (present !== undefined && sameNode(present, wanted)) return;
  await checkConflict(env, { present, wanted }, datastore);
  if (present === undefined) await datastore.create<"Node">(wanted);
  else await datastore.update<"Node">(wanted);
  const candidates = renderCandidates([...v4.candidates, ...v6.candidates]).split("\n");
  log.info({ node: own.name, ipv4: v4.address, ipv6: v6.address, candidates }, "node written");
}

async function presentNode(datastore: Datastore, name: string): Promise<Node | undefined> {
  try {
    return await datastore.get({ kind: "Node", name });
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return undefined;
    throw error;
  }
}

async function addressOf(
  env: Env,
  family: IpFamily,
  own: { readonly present: Node | undefined; readonly interfaces: readonly HostInterface[] },
): Promise<AddressChoice> {
  const bgp = own.present?.spec.bgp;
  const present = family === 4 ? bgp?.ipv4Address : bgp?.ipv6Address;
  const wish = addressWish(env, family, present);
  return chooseAddress(wish, family, {
    facts: await factsFor(env, wish, { family, ...own }),
    present,
  });
}

async function factsFor(
  env: Env,
  wish: AddressWish,
  own: {
    readonly family: IpFamily;
    readonly present: Node | undefined;
    readonly interfaces: readonly HostInterface[];
  },
): Promise<HostFacts> {
  const target =
    wish.kind === "detect" && wish.method.kind === "can-reach" ? wish.method.target : undefined;
  const source = target === undefined ? undefined : await routeSource(target, own.family);
  return {
    interfaces: own.interfaces,
    ...(source === undefined ? {} : { source }),
    ...(isKubernetes(env) ? { internalIps: internalIpsOf(own.present) } : {}),
  };
}

function isKubernetes(env: Env): boolean {
  return env["DATASTORE_TYPE"] === "kubernetes";
}

/** Only when an address changed: a node that runs already is not stopped by a newcomer. */
async function checkConflict(
  env: Env,
  nodes: { readonly present: Node | undefined; readonly wanted: Node },
  datastore: Datastore,
): Promise<void> {
  if (flag(env, "DISABLE_NODE_IP_CHECK", false)) return;
  const of = (node: Node | undefined) =>
    [node?.spec.bgp?.ipv4Address, node?.spec.bgp?.ipv6Address].filter((text) => text !== undefined);
  const before = of(nodes.present);
  const changed = of(nodes.wanted).filter((address) => !before.includes(address));
  if (changed.length === 0) return;
  const { name } = nodes.wanted.metadata;
  const conflict = conflictingNode((await datastore.list("Node")).items, name, changed);
  if (conflict === undefined) return;
  throw new InputError(
    `Cannot use ${conflict.address} as the address of node ${name}: node ${conflict.node} has it`,
  );
}

/** True when IP or IP6 asks to look again from time to time. */
export function watchesAddresses(env: Env): boolean {
  return env["IP"]?.trim() === "autodetect" || env["IP6"]?.trim() === "autodetect";
}
