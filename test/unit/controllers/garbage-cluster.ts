import assert from "node:assert/strict";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { ResourceKey } from "../../../src/api/resource-key.ts";
import type { AnyResource, Kind, ResourceOfKind } from "../../../src/api/resource-of-kind.ts";
import { ipamController } from "../../../src/controllers/ipam-controller.ts";
import {
  DatastoreError,
  type ListOptions,
  type ResourceList,
} from "../../../src/datastore/datastore.ts";
import { Ipam } from "../../../src/ipam/ipam.ts";
import type { Clock } from "../../../src/lib/clock.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryDatastore } from "../../support/memory-datastore.ts";
import { createCluster, pool } from "../ipam/cluster.ts";

const minuteMs = 60_000;
const pods = pool("pods", { cidr: "10.0.0.0/24", blockSize: 28 });

/** A datastore that a test watches and breaks. */
export class FaultyDatastore extends MemoryDatastore {
  /** Every call fails. */
  isGone = false;
  /** Runs before each read of a handle: the first of what is read again before a release. */
  beforeRelease: () => Promise<void> | void = () => undefined;
  /** How often all blocks were read. */
  looks = 0;

  override async get<K extends Kind>(key: ResourceKey<K>): Promise<ResourceOfKind[K]> {
    if (key.kind === "IPAMHandle") await this.beforeRelease();
    this.#requireThere();
    return await super.get(key);
  }

  override async list<K extends Kind>(
    kind: K,
    options?: ListOptions,
  ): Promise<ResourceList<ResourceOfKind[K]>> {
    this.#requireThere();
    if (kind === "IPAMBlock") this.looks++;
    return await super.list(kind, options);
  }

  #requireThere(): void {
    if (this.isGone) throw new DatastoreError("Cannot reach it", { code: "unavailable" });
  }
}

/** A cluster whose garbage is collected, on a clock of its own. */
export class Cluster {
  readonly clock: FakeClock = new FakeClock();
  readonly datastore: FaultyDatastore = new FaultyDatastore();
  readonly ipam: Ipam = new Ipam({ ...this, random: () => 0 });
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[] = [];

  async create(resource: object): Promise<void> {
    await this.datastore.create({
      apiVersion: calicoApiVersion,
      ...resource,
    } as AnyResource as never);
  }

  async start(leakGracePeriod?: string): Promise<void> {
    await createCluster(this.datastore, { pools: [pods], nodes: { node1: {}, node2: {} } });
    if (leakGracePeriod !== undefined) {
      const spec = { controllers: { node: { leakGracePeriod } } };
      const metadata = { name: "default" };
      await this.create({ kind: "KubeControllersConfiguration", metadata, spec });
    }
    this.startController(this.clock);
  }

  startController(clock: Clock): void {
    const log = createLogger({ name: "test", level: "silent" });
    const { datastore } = this;
    const ipam = new Ipam({ datastore, clock, random: () => 0 });
    this.#running.push(ipamController({ datastore, ipam, clock, log })(this.#stop.signal));
  }

  async assign(
    name: string,
    node: string,
    others: Readonly<Record<string, string>> = {},
    handle = `k8s-pod-network.${name}`,
  ): Promise<string> {
    const assigned = await this.ipam.autoAssign({
      handle,
      node,
      use: "Workload",
      num4: 1,
      attributes: { pod: name, namespace: "default", node, ...others },
    });
    return assigned[0]?.address ?? assert.fail("no address");
  }

  /** A pod that has its address on an interface. */
  async addPod(name: string, node: string): Promise<string> {
    const address = await this.assign(name, node);
    await this.addEndpoint(name, node, address);
    return address;
  }

  addEndpoint(name: string, node: string, address: string): Promise<void> {
    return this.create({
      kind: "WorkloadEndpoint",
      metadata: { name: `${node}-k8s-${name}-eth0`, namespace: "default" },
      spec: { node, pod: name, ipNetworks: [`${address}/32`] },
    });
  }

  removeEndpoint(name: string, node: string): Promise<void> {
    const key = { kind: "WorkloadEndpoint", name: `${node}-k8s-${name}-eth0` } as const;
    return this.datastore.delete({ ...key, namespace: "default" });
  }

  async pass(minutes: number): Promise<void> {
    await this.clock.advanceSlowly(minutes * minuteMs, 2_000);
  }

  async addresses(): Promise<string[]> {
    const { allocations } = await this.ipam.audit();
    return allocations
      .filter((each) => each.coolingSince === undefined)
      .map((each) => each.address);
  }

  async blocksOf(node: string): Promise<number> {
    const { items } = await this.datastore.list("BlockAffinity");
    return items.filter(({ spec }) => spec.node === node).length;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#running);
  }
}

export async function cluster(
  t: { after(fn: () => Promise<void>): void },
  leakGracePeriod?: string,
): Promise<Cluster> {
  const made = new Cluster();
  await made.start(leakGracePeriod);
  t.after(() => made.stop());
  return made;
}
