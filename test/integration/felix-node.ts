import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyOf } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type {
  WorkloadEndpoint,
  WorkloadEndpointSpec,
} from "../../src/api/resources/workload-endpoint.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { pod } from "../states/resources.ts";
import { FelixProcess } from "../support/felix-process.ts";

/**
 * A network namespace that is a node: eth0 192.168.1.11/24, pods in namespaces of their own, and the
 * real `tortie felix` on an embedded datastore.
 */
export class FelixNode {
  readonly netns: string;
  readonly folder: string = mkdtempSync(join(tmpdir(), "tortie-felix-"));
  readonly datastore: Datastore;
  readonly #namespaces: string[] = [];
  readonly #felix: FelixProcess;

  constructor(name: string, env: Readonly<Record<string, string>> = {}) {
    this.netns = `tt-${process.pid}-${name}`;
    const store = join(this.folder, "store");
    this.datastore = openEmbeddedDatastore(store);
    const { netns, folder } = this;
    this.#felix = new FelixProcess({ netns, node: "node-a", store, folder, env });
    this.#addNamespace(this.netns);
    // Link-local addresses would come a second late, as events that nobody asked for.
    for (const scope of ["all", "default"]) {
      this.run("sysctl", "-q", "-w", `net.ipv6.conf.${scope}.accept_dad=0`);
    }
    this.run("ip", "link", "add", "eth0", "mtu", "1500", "type", "veth", "peer", "name", "other");
    this.run("ip", "address", "add", "192.168.1.11/24", "dev", "eth0");
    for (const link of ["lo", "other", "eth0"]) this.run("ip", "link", "set", link, "up");
    // Without a way to 169.254.1.1 the kernel does not answer for it.
    this.run("ip", "route", "add", "default", "via", "192.168.1.1");
  }

  /** What the program printed. Throws with its complaint when it failed. */
  run(program: string, ...args: readonly string[]): string {
    return inside(this.netns, program, args);
  }

  /** Runs a program again and again, until `stop`, which tells how often. `input`: its stdin by round. */
  repeat(
    program: string,
    args: readonly string[],
    input: (round: number) => string,
  ): { stop(): Promise<number> } {
    const stop = new AbortController();
    const running = (async () => {
      let round = 0;
      for (; !stop.signal.aborted; round++) {
        const words = ["netns", "exec", this.netns, program, ...args];
        const child = spawn("ip", words, { stdio: ["pipe", "ignore", "inherit"] });
        child.stdin?.end(input(round));
        const [code] = await once(child, "exit");
        if (code !== 0) throw new Error(`${program} ended with ${code} in round ${round}`);
      }
      return round;
    })();
    return {
      stop: () => {
        stop.abort();
        return running;
      },
    };
  }

  async create(...resources: readonly AnyResource[]): Promise<void> {
    for (const resource of resources) await this.datastore.create(resource as never);
  }

  async remove(resource: AnyResource): Promise<void> {
    await this.datastore.delete(keyOf(resource));
  }

  /** What is behind the other end of eth0. */
  get outside(): string {
    return `${this.netns}-out`;
  }

  /** Moves the other end of eth0 into a namespace of its own, with this address. */
  addOutside(address: string): void {
    this.#addNamespace(this.outside);
    this.run("ip", "link", "set", "other", "netns", this.outside);
    inside(this.outside, "ip", ["address", "add", address, "dev", "other"]);
    inside(this.outside, "ip", ["link", "set", "other", "up"]);
  }

  /** A pod as the CNI plugin leaves it. Gives its namespace. */
  addPod(name: string, address: string, mac: string): string {
    const netns = `${this.netns}-${name}`;
    this.#addNamespace(netns);
    const link = `cali${name}`;
    const peer = ["peer", "name", "eth0", "address", mac, "netns", netns];
    this.run("ip", "link", "add", link, "address", "ee:ee:ee:ee:ee:ee", "type", "veth", ...peer);
    this.run("ip", "link", "set", link, "up");
    const pod = (...args: string[]) => inside(netns, "ip", args);
    pod("link", "set", "eth0", "up");
    pod("address", "add", `${address}/32`, "dev", "eth0");
    pod("route", "add", "169.254.1.1", "dev", "eth0", "scope", "link");
    pod("route", "add", "default", "via", "169.254.1.1");
    return netns;
  }

  /** Starts felix, and waits until it answers CNI calls: the kernel is then as it must be. */
  start(): Promise<void> {
    return this.#felix.start();
  }

  /** Of the process; undefined when it does not run. */
  get pid(): number | undefined {
    return this.#felix.pid;
  }

  /** What felix logged since it started. */
  get log(): string {
    return this.#felix.log;
  }

  stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    return this.#felix.stop(signal);
  }

  async close(): Promise<void> {
    await this.stop("SIGKILL");
    await this.datastore.close();
    for (const netns of this.#namespaces.toReversed()) execFileSync("ip", ["netns", "del", netns]);
    rmSync(this.folder, { recursive: true });
  }

  #addNamespace(netns: string): void {
    execFileSync("ip", ["netns", "add", netns]);
    this.#namespaces.push(netns);
  }
}

/** The endpoint of `FelixNode.addPod(name, address, ...)`, with the label app of its name. */
export function podEndpoint(
  name: string,
  address: string,
  rest: Partial<WorkloadEndpointSpec> = {},
): WorkloadEndpoint {
  return pod(`node--a-k8s-${name}-eth0`, {
    ip: `${address}/32`,
    labels: { app: name },
    pod: name,
    interfaceName: `cali${name}`,
    mac: `02:00:00:00:00:0${address.at(-1)}`,
    ...rest,
  });
}

/** True when one ping from the namespace, from this address of it if given, is answered in time. */
export function pings(
  netns: string,
  address: string,
  patienceSeconds = 1,
  from?: string,
): Promise<boolean> {
  const ping = ["ping", "-c", "1", "-W", `${patienceSeconds}`];
  const source = from === undefined ? [] : ["-I", from];
  const args = ["netns", "exec", netns, ...ping, ...source, address];
  return new Promise((resolve) => execFile("ip", args, (error) => resolve(error === null)));
}

/** What the program printed; it is given `input`. Throws with its complaint when it failed. */
export function inside(
  netns: string,
  program: string,
  args: readonly string[],
  input = "",
): string {
  return execFileSync("ip", ["netns", "exec", netns, program, ...args], {
    encoding: "utf8",
    input,
  });
}
