import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { CniAgent } from "../../src/cni/agent.ts";
import { runAgentSocket } from "../../src/cni/agent-service.ts";
import { SpooledDeletions } from "../../src/cni/spooled-deletions.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { felixConfig } from "../../src/felix/config/felix-config.ts";
import { Felix } from "../../src/felix/felix-service.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import type { IptablesBackend } from "../../src/kernel/iptables/backend.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import { inNetns } from "../../src/kernel/netns.ts";
import { writeSysctl } from "../../src/kernel/sysctl.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { ipamAddresses } from "../../src/wiring/cni-addresses.ts";
import { me } from "../../test/states/resources.ts";
import type { RecordedExec } from "../felix/recorded-exec.ts";
import { podCluster } from "../pod-cluster.ts";

/** Of ten policies. */
const policyPorts = Array.from({ length: 10 }, (_, index) => 8000 + index);

/** felix and the CNI agent in this process, on the kernel of its namespace and an embedded datastore. */
export class CniNode {
  readonly socket: string;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;
  readonly #kernel = openLinuxKernel();
  readonly #store: ReturnType<typeof openEmbeddedDatastore>;

  private constructor(folder: string, exec: RecordedExec, backend: IptablesBackend) {
    this.socket = join(folder, "agent", "cni.sock");
    this.#store = openEmbeddedDatastore(join(folder, "store"));
    const log = createLogger(
      { name: "bench", level: "error" },
      { write: (line) => console.error(line) },
    );
    const env = { FELIX_ENDPOINTSTATUSPATHPREFIX: folder };
    const [datastore, kernel, clock] = [this.#store, this.#kernel, systemClock];
    const felix = new Felix(me, felixConfig({ env }), {
      datastore,
      kernel,
      exec,
      backend,
      clock,
      log,
      decode: (resource) => resource,
    });
    const ipam = new Ipam({ datastore, clock, random: Math.random });
    const agent = new CniAgent(
      { nodeName: me, programTimeoutMs: 60_000, defaultMtu: () => 1450, podsAreStored: false },
      {
        datastore,
        clock,
        hostKernel: kernel,
        openPodKernel: (netnsFd) => openLinuxKernel({ netnsFd }),
        writeHostSysctl: writeSysctl,
        writePodSysctl: (netnsFd, path, value) => inNetns(netnsFd, () => writeSysctl(path, value)),
        random: (octets) => crypto.getRandomValues(new Uint8Array(octets)),
        addresses: ipamAddresses(ipam, { nodeName: me, datastore, clock }),
        deletions: new SpooledDeletions(join(folder, "spool"), log),
        answers: async () => true,
        felix,
        log,
      },
    );
    const { signal } = this.#stop;
    this.#running = Promise.all([
      felix.run(signal),
      felix.ready.then(() => runAgentSocket(this.socket, { agent, log }, signal)),
    ]);
    this.ready = felix.ready;
  }

  readonly ready: Promise<void>;

  static async start(
    folder: string,
    ports: { readonly exec: RecordedExec; readonly backend: IptablesBackend },
  ): Promise<CniNode> {
    prepareHost();
    const started = new CniNode(folder, ports.exec, ports.backend);
    for (const resource of podCluster(policyPorts)) await started.#store.create(resource as never);
    await started.ready;
    return started;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#kernel.close();
    await this.#store.close();
  }
}

function prepareHost(): void {
  const lines = [
    "link set lo up",
    "link add eth0 up type veth peer name other",
    "link set other up",
    "address add 192.168.1.11/24 dev eth0",
    "route add default via 192.168.1.1",
  ];
  execFileSync("ip", ["-batch", "-"], { input: lines.join("\n") });
}
