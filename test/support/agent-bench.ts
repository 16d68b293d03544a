import { hostVethMac } from "../../src/api/names.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { WorkloadEndpoint } from "../../src/api/resources/workload-endpoint.ts";
import { CniAgent } from "../../src/cni/agent.ts";
import type { AddressHolder, AgentPorts } from "../../src/cni/ports.ts";
import type { CniCall } from "../../src/cni/protocol.ts";
import type { VethPair } from "../../src/kernel/kernel.ts";
import { mainTable } from "../../src/kernel/ownership.ts";
import { parseIpAddr } from "../../src/lib/ip-addr.ts";
import { createLogger } from "../../src/lib/log.ts";
import { parsePrefix } from "../../src/lib/prefix.ts";
import { clusterInformation } from "../states/resources.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeKernel } from "./fake-kernel.ts";
import { MemoryDatastore } from "./memory-datastore.ts";
import { waitFor } from "./wait-for.ts";

const netnsFd = 7;

export interface BenchAnswer {
  readonly exitCode: number;
  readonly code?: number;
  readonly msg?: string;
  readonly details?: string;
  readonly interfaces?: readonly object[];
  readonly ips?: readonly object[];
}

/** A CNI agent among fakes. Routes and policy of a pod are programmed when `program` is called. */
export class AgentBench {
  readonly datastore: MemoryDatastore;
  readonly host: FakeKernel = new FakeKernel();
  readonly pod: FakeKernel = new FakeKernel();
  readonly clock: FakeClock = new FakeClock();
  readonly released: string[] = [];
  /** Pods whose machines, if any, are to do without them. */
  readonly left: string[] = [];
  /** Containers whose waiting deletions were forgotten. */
  readonly forgotten: string[] = [];
  readonly logged: string[] = [];
  readonly offered: WorkloadEndpoint[] = [];
  /** Whom IPAM has given addresses to. */
  readonly holders: AddressHolder[] = [];
  assigned = 0;
  shortage: string | undefined;
  #program: (() => void) | undefined;
  readonly #agent: CniAgent;

  constructor(
    resources: readonly AnyResource[] = [clusterInformation(true)],
    config: { readonly podsAreStored?: boolean; readonly mtu?: number } = {},
  ) {
    const { podsAreStored = false, mtu = 1450 } = config;
    this.datastore = new MemoryDatastore(resources);
    this.#agent = new CniAgent(
      { nodeName: "node1", defaultMtu: () => mtu, programTimeoutMs: 5_000, podsAreStored },
      this.#ports(),
    );
  }

  async answer(variables: CniCall["variables"] = {}, config: object = {}): Promise<BenchAnswer> {
    const call = {
      variables: {
        CNI_COMMAND: "ADD",
        CNI_CONTAINERID: "abc",
        CNI_IFNAME: "eth0",
        CNI_NETNS: "/run/netns/x",
        CNI_ARGS: "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web",
        ...variables,
      },
      stdin: JSON.stringify({ cniVersion: "1.1.0", name: "net", type: "calico", ...config }),
    };
    const { exitCode, stdout } = await this.#agent.answer(call, netnsFd);
    return { ...JSON.parse(stdout || "{}"), exitCode };
  }

  /** An ADD whose routes and policy are programmed. */
  async added(variables: CniCall["variables"] = {}, config: object = {}): Promise<BenchAnswer> {
    const answer = this.answer(variables, config);
    await this.program();
    return await answer;
  }

  /** Until the agent asks whether the pod's routes and policy are in the kernel. */
  async asked(): Promise<void> {
    await waitFor(() => this.#program !== undefined);
  }

  /** Says that they are, once it asks. */
  async program(): Promise<void> {
    await this.asked();
    const { interfaceName, ipNetworks = [] } = this.offered.at(-1)?.spec ?? { interfaceName: "" };
    const ifindex = (await this.host.links.get(interfaceName))?.ifindex ?? 0;
    await this.host.routes.replace(
      ipNetworks.map((network) => ({
        table: mainTable,
        destination: parsePrefix(network),
        priority: 0,
        kind: "unicast" as const,
        scope: "link" as const,
        protocol: 3,
        ifindex,
      })),
    );
    this.#program?.();
    this.#program = undefined;
  }

  async hostVeths(): Promise<string[]> {
    return (await this.host.links.list()).flatMap(({ name }) => (name === "lo" ? [] : [name]));
  }

  stored(): string[] {
    return Object.keys(this.datastore.contents()).filter((key) => key.includes("Workload"));
  }

  /** Both ends of a pair come and go together. */
  #joinKernels(): void {
    const { host, pod } = this;
    host.links.addVeth = async ({ name, peer, mtu = 1500 }: VethPair) => {
      const next = Math.max(...(await host.links.list()).map(({ ifindex }) => ifindex)) + 1;
      const { mac } = peer;
      const podEnd = {
        type: "veth",
        mtu,
        linkIfindex: next,
        ...(mac === undefined ? {} : { mac }),
      };
      const linkIfindex = pod.addLink(peer.name, podEnd);
      host.addLink(name, { type: "veth", mtu, mac: hostVethMac, linkIfindex });
    };
    const [removeHost, removePod] = [host.links.remove, pod.links.remove];
    const both = async (kernel: FakeKernel, ifindex: number) => {
      const peer = (await kernel.links.get(ifindex))?.linkIfindex ?? -1;
      await (kernel === host ? removeHost(ifindex) : removePod(ifindex));
      await (kernel === host ? removePod(peer) : removeHost(peer));
    };
    host.links.remove = (ifindex) => both(host, ifindex);
    pod.links.remove = (ifindex) => both(pod, ifindex);
  }

  #ports(): AgentPorts {
    this.#joinKernels();
    const { host, pod } = this;
    return {
      datastore: this.datastore,
      clock: this.clock,
      hostKernel: host,
      openPodKernel: () => pod,
      writeHostSysctl: () => undefined,
      writePodSysctl: () => undefined,
      random: (octets) => new Uint8Array(octets).fill(0xff),
      deletions: {
        forget: async (plugin, { containerId }) => {
          this.forgotten.push(`${plugin} ${containerId}`);
        },
      },
      answers: async (url) => !url.includes("closed"),
      addresses: {
        assign: async () => {
          this.assigned++;
          return [parseIpAddr("10.65.0.1")];
        },
        release: async (handle) => void this.released.push(handle),
        leave: async (_call, { workload }) => void this.left.push(workload),
        holds: async (_call, { handle }) => this.holders.some((holder) => holder.handle === handle),
        holders: async () => this.holders,
        shortage: async () => this.shortage,
      },
      felix: {
        offerEndpoint: (endpoint) => void this.offered.push(endpoint),
        withdrawEndpoint: () => void this.offered.pop(),
        endpointProgrammed: (_key, signal) =>
          new Promise((resolve, reject) => {
            this.#program = resolve;
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
          }),
      },
      log: createLogger({ name: "cni" }, { write: (line) => void this.logged.push(line) }),
    };
  }
}
