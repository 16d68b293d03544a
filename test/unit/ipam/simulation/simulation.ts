import assert from "node:assert/strict";
import type { AnyResource } from "../../../../src/api/resource-of-kind.ts";
import type { IPPool } from "../../../../src/api/resources/ip-pool.ts";
import type { IPAMConfigurationSpec } from "../../../../src/api/resources/ipam.ts";
import { ipamController } from "../../../../src/controllers/ipam-controller.ts";
import { type Datastore, DatastoreError } from "../../../../src/datastore/datastore.ts";
import { problemText } from "../../../../src/ipam/audit.ts";
import { Ipam } from "../../../../src/ipam/ipam.ts";
import type { Clock } from "../../../../src/lib/clock.ts";
import { getOrCreate } from "../../../../src/lib/collections.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { FakeClock } from "../../../support/fake-clock.ts";
import { checkInvariants, createCluster, pool } from "../cluster.ts";
import { deleteEndpoint, SimHost } from "./host.ts";
import { type Driver, noFaults, SimNetwork, type SimProcess } from "./network.ts";
import { SeededRandom } from "./random.ts";
import { SimStore, type StoreChange } from "./store.ts";

export interface SimulationConfig {
  readonly seed: number;
  readonly hosts: number;
  /** Breaks compare-and-swap, to show that it is found. */
  readonly ignoresVersions?: boolean;
}

export interface SimulationResult {
  readonly calls: number;
  readonly podsAdded: number;
  readonly crashes: number;
}

const minuteMs = 60_000;
const faultyMs = 12 * minuteMs;
const controllers = 3;
const drivers: readonly Driver[] = ["kubernetes", "embedded", "etcd"];
const faults = { lost: 0.01, late: 0.004, crash: 0.01 };

/**
 * Hosts that add and remove pods, crash, lose answers and have wrong clocks; controllers that all
 * think they lead; pools that are disabled and nodes that are deleted. Then calm, and what must hold.
 *
 * @throws {AssertionError} when an address has two users, is lost, or is not repaired in the end.
 */
export async function simulate(config: SimulationConfig): Promise<SimulationResult> {
  const cluster = new SimCluster(config);
  await cluster.prepare();
  cluster.start();
  for (let minute = 1; minute * minuteMs <= faultyMs; minute++) {
    await cluster.runUntil(minute * minuteMs);
    await checkInvariants(cluster.direct, { exact: false });
  }
  cluster.calm();
  await cluster.runUntil(faultyMs + 12 * minuteMs);
  await cluster.checkRepaired();
  return cluster.result();
}

class SimCluster {
  readonly #clock = new FakeClock();
  readonly #store = new SimStore();
  readonly #random: SeededRandom;
  readonly #network: SimNetwork;
  readonly #hosts: SimHost[];
  readonly #pools: readonly IPPool[];
  readonly #settings: IPAMConfigurationSpec;
  readonly #admin: SimProcess = { dead: false, clockErrorMs: 0 };
  readonly #defects: unknown[] = [];
  readonly #deleted = new Set<SimHost>();
  /** Keys of the endpoints and nodes that have an address. */
  readonly #users = new Map<IpAddr, Set<string>>();
  #quiet = false;
  #pods = 0;
  #crashes = 0;

  constructor(config: SimulationConfig) {
    const random = new SeededRandom(config.seed);
    this.#random = random;
    const driver = drivers[config.seed % drivers.length] ?? "kubernetes";
    this.#network = new SimNetwork(this.#store, { clock: this.#clock, random, driver });
    const dualStack = random.chance(0.2);
    const blockSize = random.chance(0.1) ? 32 : 28;
    const strictAffinity = random.chance(0.25);
    const vxlanMode = !strictAffinity && random.chance(0.5) ? "Always" : "Never";
    // Fewer blocks than hosts: some must borrow, or take empty blocks from others.
    const bits = Math.max(6, Math.floor(Math.log2(config.hosts * 12)));
    this.#pools = [
      pool("first", { cidr: `10.0.0.0/${33 - bits}`, blockSize, vxlanMode }),
      pool("second", { cidr: `10.1.0.0/${33 - bits}`, blockSize: 29 }),
      ...(dualStack ? [pool("six", { cidr: "fd00::/112", blockSize: 124 })] : []),
    ];
    this.#settings = {
      strictAffinity,
      ipCooldownSeconds: random.pick([0, 0, 30]) ?? 0,
      maxBlocksPerHost: random.pick([0, 2]) ?? 0,
    };
    this.#hosts = Array.from(
      { length: config.hosts },
      (_, index) =>
        new SimHost(`node${index}`, {
          network: this.#network,
          random,
          pools: this.#pools,
          dualStack,
          isQuiet: () => this.#quiet,
          nextPod: () => `p${this.#pods++}`,
          onDefect: (error) => this.#defects.push(error),
        }),
    );
    this.#store.onChange = (key, change) => this.#checkShared(key, change);
    this.#store.ignoresVersions = config.ignoresVersions === true;
  }

  /** The datastore without network: for preparation and for checks. */
  get direct(): Datastore {
    return directDatastore(this.#store);
  }

  async prepare(): Promise<void> {
    await createCluster(this.direct, {
      pools: this.#pools,
      config: this.#settings,
      nodes: Object.fromEntries(this.#hosts.map(({ name }) => [name, {}])),
    });
    await this.direct.create<"KubeControllersConfiguration">({
      apiVersion: "projectcalico.org/v3",
      kind: "KubeControllersConfiguration",
      metadata: { name: "default" },
      spec: { controllers: { node: { leakGracePeriod: "2m" } } },
    } as AnyResource as never);
  }

  start(): void {
    this.#network.faults = faults;
    for (const host of this.#hosts) this.#startHost(host);
    for (let index = 0; index < controllers; index++) this.#startController();
    this.#administer().catch((error: unknown) => this.#defects.push(error));
  }

  async runUntil(ms: number): Promise<void> {
    await this.#network.runUntil(ms);
    const [defect] = this.#defects;
    if (defect !== undefined) throw defect;
  }

  /** From here on nothing fails, and no pods come or go. */
  calm(): void {
    this.#quiet = true;
    this.#network.faults = noFaults;
    for (const host of this.#hosts) {
      if (host.process.dead && !this.#deleted.has(host)) this.#startHost(host);
    }
  }

  async checkRepaired(): Promise<void> {
    const ipam = new Ipam({ datastore: this.direct, clock: this.#clock, random: () => 0 });
    const { problems, allocations } = await ipam.audit();
    assert.deepEqual(problems.map(problemText), []);
    const held = new Map(
      allocations.flatMap(({ address, handle, coolingSince }) =>
        coolingSince === undefined ? [[address, handle] as const] : [],
      ),
    );
    for (const host of this.#hosts) {
      for (const [pod, { state, addresses }] of host.sandboxes) {
        assert.equal(state, "up", `${pod} of ${host.name}`);
        for (const address of addresses) {
          assert.equal(held.get(address), `k8s-pod-network.${pod}`, address);
          held.delete(address);
        }
      }
    }
    const others = [...held].filter(([, handle]) => !handle.includes("tunnel-addr-"));
    assert.deepEqual(others, [], "addresses of no pod that runs");
    await checkInvariants(this.direct, { exact: true });
  }

  result(): SimulationResult {
    return { calls: this.#network.calls, podsAdded: this.#pods, crashes: this.#crashes };
  }

  #startHost(host: SimHost): void {
    host.start(() => {
      this.#crashes++;
      const clock = this.#network.clockOf(this.#admin);
      clock.setTimer(this.#random.below(3 * minuteMs), () => {
        if (host.process.dead && !this.#deleted.has(host)) this.#startHost(host);
      });
    });
  }

  /** A controller that always takes itself for the leader: the lease is no part of what is shown. */
  #startController(): void {
    const onCrash = () => {
      stop.abort();
      this.#clock.setTimer(this.#random.below(minuteMs), () => this.#startController());
    };
    const stop = new AbortController();
    const process: SimProcess = { dead: false, clockErrorMs: 0, onCrash };
    const clock = this.#network.clockOf(process);
    const datastore = this.#network.datastoreOf(process);
    const ipam = new Ipam({ datastore, clock, random: this.#random.next });
    const log = createLogger({ name: "sim", level: "silent" });
    ipamController({ datastore, ipam, clock, log })(stop.signal).catch((error: unknown) => {
      if (!process.dead) this.#defects.push(error);
    });
  }

  /** Somebody who disables pools, and deletes nodes and makes them again. */
  async #administer(): Promise<void> {
    const clock = this.#network.clockOf(this.#admin);
    const random = this.#random;
    const { signal } = new AbortController();
    while (!this.#quiet) {
      await clock.sleep(random.below(2 * minuteMs), signal);
      const [disable, forget] = [random.chance(0.3), random.chance(0.3)];
      if (disable) await this.#disablePool(clock);
      else if (forget) await this.#forgetNode(clock);
      else await this.#deleteNode(clock);
    }
  }

  /** The Node is deleted while its machine works, and registers again. */
  async #forgetNode(clock: Clock): Promise<void> {
    const { name } = this.#random.pick(this.#hosts) ?? assert.fail();
    if (!this.#store.list("Node").some(({ metadata }) => metadata.name === name)) return;
    await this.direct.delete({ kind: "Node", name });
    await clock.sleep(this.#random.below(3 * minuteMs), new AbortController().signal);
    await createCluster(this.direct, { pools: [], nodes: { [name]: {} } });
    const host = this.#hosts.find((each) => each.name === name);
    // Its tunnel address went with the Node: node start-up gives it one again.
    if (host !== undefined && !host.process.dead) this.#restart(host);
  }

  #restart(host: SimHost): void {
    host.process.dead = true;
    this.#startHost(host);
  }

  async #disablePool(clock: Clock): Promise<void> {
    const { name } = this.#random.pick(this.#pools)?.metadata ?? assert.fail();
    const set = (disabled: boolean) => {
      const present = this.#store.get({ kind: "IPPool", name }) as IPPool;
      this.#store.update({ ...present, spec: { ...present.spec, disabled } });
    };
    set(true);
    await clock.sleep(this.#random.below(minuteMs), new AbortController().signal);
    set(false);
  }

  /** The machine is gone; then its pods and its Node are, in any order; perhaps another takes its name. */
  async #deleteNode(clock: Clock): Promise<void> {
    const random = this.#random;
    const host = random.pick(this.#hosts) ?? assert.fail();
    if (this.#deleted.has(host)) return;
    this.#deleted.add(host);
    host.process.dead = true;
    const { signal } = new AbortController();
    await clock.sleep(5_000 + random.below(10_000), signal);
    host.sandboxes.clear();
    const deleteNode = () => this.direct.delete({ kind: "Node", name: host.name });
    const nodeFirst = random.chance(0.5);
    if (nodeFirst) await deleteNode();
    for (const { kind, metadata, spec } of this.#store.list("WorkloadEndpoint") as AnyResource[]) {
      if (kind !== "WorkloadEndpoint" || spec.node !== host.name) continue;
      await clock.sleep(random.below(500), signal);
      await deleteEndpoint(this.direct, metadata.name);
    }
    if (!nodeFirst) await deleteNode();
    if (random.chance(0.4)) return;
    await clock.sleep(random.below(2 * minuteMs), signal);
    await createCluster(this.direct, { pools: [], nodes: { [host.name]: {} } });
    this.#deleted.delete(host);
    this.#startHost(host);
  }

  /** No two endpoints and tunnels ever have one address. */
  #checkShared(key: string, { written, before }: StoreChange): void {
    for (const address of addressesOf(before)) this.#users.get(address)?.delete(key);
    for (const address of addressesOf(written)) {
      const users = getOrCreate(this.#users, address, () => new Set<string>());
      users.add(key);
      if (users.size === 1) continue;
      const message = `${address}: ${[...users].join(", ")}`;
      this.#defects.push(new assert.AssertionError({ message }));
    }
  }
}

function addressesOf(resource: AnyResource | undefined): IpAddr[] {
  if (resource?.kind === "WorkloadEndpoint") {
    return (resource.spec.ipNetworks ?? []).map((network) => network.split("/")[0] as IpAddr);
  }
  if (resource?.kind !== "Node" || resource.spec.ipv4VXLANTunnelAddr === undefined) return [];
  return [resource.spec.ipv4VXLANTunnelAddr as IpAddr];
}

function directDatastore(store: SimStore): Datastore {
  return {
    get: async (key) => store.get(key) as never,
    list: async (kind) => ({ items: store.list(kind) as never, revision: store.revision }),
    create: async (resource) => store.create(resource as AnyResource) as never,
    update: async (resource) => store.update(resource as AnyResource) as never,
    delete: async (key, version) => store.delete(key, version),
    watch: () => {
      throw new DatastoreError("Cannot watch", { code: "unavailable" });
    },
    close: async () => undefined,
  };
}
