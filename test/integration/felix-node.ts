import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { keyOf } from "../../src/api/resource-key.ts";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type {
  WorkloadEndpoint,
  WorkloadEndpointSpec,
} from "../../src/api/resources/workload-endpoint.ts";
import type { Datastore } from "../../src/datastore/datastore.ts";
import { openEmbeddedDatastore } from "../../src/datastore/embedded/embedded-datastore.ts";
import { pod } from "../states/resources.ts";
import { waitFor } from "../support/wait-for.ts";

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));

/**
 * A network namespace that is a node: eth0 192.168.1.11/24, pods in namespaces of their own, and the
 * real `tortie felix` on an embedded datastore.
 */
export class FelixNode {
  readonly netns: string;
  readonly folder: string = mkdtempSync(join(tmpdir(), "tortie-felix-"));
  readonly datastore: Datastore;
  readonly #env: Readonly<Record<string, string>>;
  readonly #namespaces: string[] = [];
  #daemon: ChildProcess | undefined;
  #log = "";

  constructor(name: string, env: Readonly<Record<string, string>> = {}) {
    this.netns = `tt-${process.pid}-${name}`;
    this.#env = env;
    this.datastore = openEmbeddedDatastore(join(this.folder, "store"));
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
  async start(): Promise<void> {
    const socket = join(this.folder, "cni.sock");
    rmSync(socket, { force: true });
    this.#log = "";
    this.#daemon = spawn("ip", ["netns", "exec", this.netns, tortie, "felix"], {
      env: {
        PATH: process.env["PATH"] ?? "",
        NODENAME: "node-a",
        DATASTORE_TYPE: "embedded",
        TORTIE_DATASTORE_PATH: join(this.folder, "store"),
        TORTIE_CNI_SOCKET: socket,
        TORTIE_RUN_DIR: this.folder,
        FELIX_ENDPOINTSTATUSPATHPREFIX: this.folder,
        FELIX_LOGSEVERITYSCREEN: "Debug",
        FELIX_HEALTHENABLED: "true",
        ...this.#env,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#daemon.stderr?.on("data", (piece: Buffer) => {
      this.#log = (this.#log + piece.toString()).slice(-100_000);
    });
    await waitFor(() => existsSync(socket), { timeoutMs: 120_000, what: "felix" }).catch(
      (cause) => {
        throw new Error(`felix did not start:\n${this.#log}`, { cause });
      },
    );
  }

  /** Of the process; undefined when it does not run. */
  get pid(): number | undefined {
    return this.#daemon?.exitCode === null ? this.#daemon.pid : undefined;
  }

  /** What felix logged since it started. */
  get log(): string {
    return this.#log;
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once("exit", resolve));
    daemon.kill(signal);
    await ended;
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
