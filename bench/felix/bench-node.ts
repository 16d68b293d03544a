import { execFileSync } from "node:child_process";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { felixConfig } from "../../src/felix/config/felix-config.ts";
import { Felix } from "../../src/felix/felix-service.ts";
import type { IptablesBackend } from "../../src/kernel/iptables/backend.ts";
import { openLinuxKernel } from "../../src/kernel/linux-kernel.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { me } from "../../test/states/resources.ts";
import { MemoryDatastore } from "../../test/support/memory-datastore.ts";
import { interfaceOf, localPods } from "./cluster.ts";
import type { RecordedExec } from "./recorded-exec.ts";

/** felix on the kernel of this process' network namespace and a datastore in memory. */
export class BenchNode {
  readonly datastore: MemoryDatastore;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #felix: Felix;
  readonly #kernel = openLinuxKernel();
  #inSyncAt = 0;
  #onApplied: () => void = () => undefined;

  constructor(
    resources: readonly AnyResource[],
    ports: {
      readonly exec: RecordedExec;
      readonly backend: IptablesBackend;
      readonly folder: string;
    },
  ) {
    this.datastore = new MemoryDatastore(resources);
    const log = createLogger(
      { name: "felix", level: "debug" },
      { write: (line) => this.#hear(line) },
    );
    const env = { FELIX_ENDPOINTSTATUSPATHPREFIX: ports.folder };
    this.#felix = new Felix(me, felixConfig({ env }), {
      ...ports,
      datastore: this.datastore,
      kernel: this.#kernel,
      clock: systemClock,
      log,
      decode: (resource) => resource,
    });
    this.#running = this.#felix.run(this.#stop.signal);
  }

  /** Milliseconds from the datastore in sync to all in the kernel. */
  async firstApply(): Promise<number> {
    await this.#felix.ready;
    return performance.now() - this.#inSyncAt;
  }

  /** Milliseconds until the apply that follows `change` has ended. */
  async applied(change: () => Promise<unknown>): Promise<number> {
    const applied = new Promise<void>((resolve) => {
      this.#onApplied = resolve;
    });
    const startedAt = performance.now();
    await change();
    await applied;
    return performance.now() - startedAt;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#kernel.close();
  }

  #hear(line: string): void {
    const { msg, status, err } = JSON.parse(line);
    if (err !== undefined) console.error(line);
    if (status === "in-sync") this.#inSyncAt = performance.now();
    if (msg !== "dataplane applied") return;
    this.#onApplied();
  }
}

export function makeLinks(): void {
  const lines = ["link set lo up"];
  for (let index = 0; index < localPods; index++) {
    lines.push(`link add ${interfaceOf(index)} up type veth peer name peer${index}`);
  }
  execFileSync("ip", ["-batch", "-"], { input: lines.join("\n") });
}

/** Every table of both families empty. */
export function flushTables({ variant }: IptablesBackend): void {
  const input = ["raw", "mangle", "nat", "filter"].map((table) => `*${table}\nCOMMIT\n`).join("");
  for (const program of ["iptables", "ip6tables"]) {
    execFileSync(`${program}${variant}-restore`, { input });
  }
}

/** As before the first felix of this namespace, but for the interfaces. */
export function flushAll(backend: IptablesBackend): void {
  flushTables(backend);
  execFileSync("ipset", ["destroy"]);
  execFileSync("ip", ["route", "flush", "proto", "boot"]);
  execFileSync("ip", ["neigh", "flush", "all", "nud", "permanent"]);
}
