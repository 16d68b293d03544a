import type { IPPool } from "../../../../src/api/resources/ip-pool.ts";
import type { WorkloadEndpoint } from "../../../../src/api/resources/workload-endpoint.ts";
import {
  type Datastore,
  DatastoreError,
  isDatastoreError,
} from "../../../../src/datastore/datastore.ts";
import { Ipam } from "../../../../src/ipam/ipam.ts";
import { IpamError } from "../../../../src/ipam/ipam-error.ts";
import type { Clock } from "../../../../src/lib/clock.ts";
import type { IpAddr } from "../../../../src/lib/ip-addr.ts";
import { createLogger } from "../../../../src/lib/log.ts";
import { hostPrefix, nthAddress, type Prefix } from "../../../../src/lib/prefix.ts";
import { storedInputs } from "../../../../src/node/stored-inputs.ts";
import { reconcileTunnelAddresses } from "../../../../src/node/tunnel-addresses.ts";
import type { SimNetwork, SimProcess } from "./network.ts";
import type { SeededRandom } from "./random.ts";

export interface HostPorts {
  readonly network: SimNetwork;
  readonly random: SeededRandom;
  readonly pools: readonly IPPool[];
  readonly dualStack: boolean;
  /** No more pods come and go; what is under way is finished. */
  isQuiet(): boolean;
  nextPod(): string;
  /** What must not happen. */
  onDefect(error: unknown): void;
}

/** A pod as kubelet knows it. It outlives the agent's process. */
interface Sandbox {
  state: "adding" | "up" | "deleting";
  addresses: readonly IpAddr[];
}

const meanPauseMs = 240_000;
const kubeletRetryMs = 5_000;
/** src/node/node-service.ts looks every minute: here less often, so that a run is shorter. */
const tunnelPauseMs = 180_000;
/** An ADD that took longer is undone (facts 3). */
const cniTimeoutMs = 90_000;

/** One node: kubelet, which goes on after a crash, and the agent's process, which begins anew. */
export class SimHost {
  readonly name: string;
  readonly sandboxes: Map<string, Sandbox> = new Map();
  readonly #ports: HostPorts;
  readonly #clockErrorMs: number;
  process: SimProcess;

  constructor(name: string, ports: HostPorts) {
    this.name = name;
    this.#ports = ports;
    const { random } = ports;
    // One in four clocks is wrong, by up to five minutes.
    this.#clockErrorMs = random.chance(0.25) ? random.below(600_000) - 300_000 : 0;
    this.process = { dead: true, clockErrorMs: 0 };
  }

  /** Addresses of pods that run. */
  get liveAddresses(): IpAddr[] {
    return [...this.sandboxes.values()].flatMap(({ state, addresses }) =>
      state === "up" ? addresses : [],
    );
  }

  start(onCrash: () => void): void {
    const process = { dead: false, clockErrorMs: this.#clockErrorMs, onCrash };
    this.process = process;
    const { network, random } = this.#ports;
    const clock = network.clockOf(process);
    const datastore = network.datastoreOf(process);
    const ipam = new Ipam({ datastore, clock, random: random.next });
    const agent = new Agent(this, { clock, datastore, ipam, ...this.#ports });
    agent.run().catch((error: unknown) => this.#ports.onDefect(error));
  }
}

type AgentPorts = HostPorts & {
  readonly clock: Clock;
  readonly datastore: Datastore;
  readonly ipam: Ipam;
};

/** The steps of src/cni/agent.ts that touch the datastore, in its order. */
class Agent {
  readonly #host: SimHost;
  readonly #ports: AgentPorts;
  /** One of its own: a signal that hundreds listen to is slow. */
  readonly #never = new AbortController().signal;

  constructor(host: SimHost, ports: AgentPorts) {
    this.#host = host;
    this.#ports = ports;
  }

  async run(): Promise<void> {
    const { clock, random, isQuiet, onDefect, nextPod } = this.#ports;
    const inBackground = (work: Promise<void>) => void work.catch(onDefect);
    inBackground(this.#keepTunnels());
    for (const [pod, { state }] of this.#host.sandboxes) {
      if (state !== "up") inBackground(this.#remove(pod));
    }
    for (;;) {
      await clock.sleep(-Math.log(1 - random.next()) * meanPauseMs, this.#never);
      if (isQuiet()) continue;
      // Pods that come at once share a write: now and then, many do.
      for (let burst = 1 + random.below(random.chance(0.1) ? 8 : 3); burst > 0; burst--) {
        const up = [...this.#host.sandboxes].filter(([, { state }]) => state === "up");
        const victim = random.chance(up.length / 12) ? random.pick(up) : undefined;
        inBackground(victim === undefined ? this.#add(nextPod()) : this.#remove(victim[0]));
      }
    }
  }

  async #keepTunnels(): Promise<void> {
    const log = createLogger({ name: "sim", level: "silent" });
    for (;;) {
      await this.#untilDone(async () => {
        const stored = await storedInputs(this.#ports.datastore);
        await reconcileTunnelAddresses(this.#host.name, stored, { ...this.#ports, log, env: {} });
      });
      await this.#ports.clock.sleep(tunnelPauseMs, this.#never);
    }
  }

  async #add(pod: string): Promise<void> {
    const { clock, datastore, random } = this.#ports;
    const sandbox: Sandbox = { state: "adding", addresses: [] };
    this.#host.sandboxes.set(pod, sandbox);
    const startedAt = clock.now();
    let addresses: readonly IpAddr[] = [];
    try {
      addresses = await this.#assign(pod);
      await datastore.create<"WorkloadEndpoint">(this.#endpoint(pod, addresses));
    } catch (error) {
      requireExpected(error);
      // kubelet deletes a sandbox whose ADD failed; one time in ten it never comes to it.
      if (addresses.length === 0 && random.chance(0.1)) this.#host.sandboxes.delete(pod);
      else await this.#remove(pod);
      return;
    }
    if (clock.now() - startedAt > cniTimeoutMs) return await this.#remove(pod);
    sandbox.state = "up";
    sandbox.addresses = addresses;
  }

  async #assign(pod: string): Promise<readonly IpAddr[]> {
    const { ipam, random, pools, dualStack } = this.#ports;
    const node = this.#host.name;
    const owner = { handle: handleOf(pod), attributes: { pod, namespace: "default", node }, node };
    const pool = random.pick(pools);
    if (pool?.spec.cidr.includes(".") === true && random.chance(0.05)) {
      const address = nthAddress(pool.spec.cidr as Prefix, random.below(256));
      return [(await ipam.assignIp({ ...owner, address })).address];
    }
    const num6 = dualStack ? 1 : 0;
    const assigned = await ipam.autoAssign({ ...owner, use: "Workload", num4: 1, num6 });
    return assigned.map(({ address }) => address);
  }

  #endpoint(pod: string, addresses: readonly IpAddr[]): WorkloadEndpoint {
    const node = this.#host.name;
    return {
      apiVersion: "projectcalico.org/v3",
      kind: "WorkloadEndpoint",
      metadata: { name: pod, namespace: "default" },
      spec: {
        orchestrator: "k8s",
        node,
        pod,
        endpoint: "eth0",
        ipNetworks: addresses.map(hostPrefix),
        interfaceName: `cali${pod}`,
      },
    };
  }

  /** DEL, until it succeeds. */
  async #remove(pod: string): Promise<void> {
    const sandbox = this.#host.sandboxes.get(pod);
    if (sandbox === undefined) return;
    sandbox.state = "deleting";
    const { datastore, ipam } = this.#ports;
    await this.#untilDone(async () => {
      await deleteEndpoint(datastore, pod);
      await ipam.releaseByHandle(handleOf(pod));
    });
    this.#host.sandboxes.delete(pod);
  }

  async #untilDone(act: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await act();
        return;
      } catch (error) {
        requireExpected(error);
        await this.#ports.clock.sleep(kubeletRetryMs, this.#never);
      }
    }
  }
}

function handleOf(pod: string): string {
  return `k8s-pod-network.${pod}`;
}

export async function deleteEndpoint(datastore: Datastore, name: string): Promise<void> {
  try {
    await datastore.delete({ kind: "WorkloadEndpoint", name, namespace: "default" });
  } catch (error) {
    if (!isDatastoreError(error, "not-found")) throw error;
  }
}

/** @throws {unknown} the error, when it is none that a fault or a full pool explains. */
function requireExpected(error: unknown): void {
  const all = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
  for (const each of all) {
    if (!(each instanceof DatastoreError || each instanceof IpamError)) throw each;
    if (each instanceof IpamError && each.code === "owner-changed") throw each;
  }
}
