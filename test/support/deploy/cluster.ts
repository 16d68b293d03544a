import { type ChildProcess, spawn } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { endChild } from "../end-child.ts";
import { KubeApiServer } from "../kube-apiserver.ts";
import { run } from "../lab.ts";
import { TestNetns } from "../netns.ts";
import { waitFor } from "../wait-for.ts";
import { type AuditEvent, AuditLog } from "./audit-log.ts";
import {
  applyObjects,
  type Container,
  environmentOf,
  type ManifestObject,
  podTemplateOf,
} from "./manifest.ts";
import { Tunnel } from "./tunnel.ts";

const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));
const merge = "application/merge-patch+json";

/** A node: a network namespace with an address on the segment that all nodes share. */
export interface ClusterNode {
  readonly name: string;
  readonly address: string;
  readonly netns: TestNetns;
  /** State and sockets of the programs that run there. */
  readonly folder: string;
}

/**
 * A cluster of what deploy/ says, on a real API server: the test is scheduler and kubelet, so each program
 * has the command, the environment and the service account of its manifest.
 */
export class ManifestCluster {
  readonly server: KubeApiServer;
  readonly objects: readonly ManifestObject[];
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-deploy-"));
  readonly #audit: AuditLog;
  readonly #tunnel: Tunnel;
  readonly #segment: TestNetns;
  readonly #nodes: ClusterNode[] = [];
  readonly #children = new Set<ChildProcess>();

  private constructor(server: KubeApiServer, audit: AuditLog, objects: readonly ManifestObject[]) {
    this.server = server;
    this.#audit = audit;
    this.objects = objects;
    this.#tunnel = new Tunnel(Number(new URL(server.endpoint).port));
    this.#segment = new TestNetns("segment");
    this.#segment.ip("link add br0 type bridge");
    this.#segment.ip("link set br0 up");
  }

  static async start(
    program: string,
    objects: readonly ManifestObject[],
  ): Promise<ManifestCluster> {
    const audit = new AuditLog();
    const flags = [...audit.flags, "--allow-privileged=true"];
    const server = await KubeApiServer.start(program, { flags });
    try {
      await applyObjects(server, objects);
      return new ManifestCluster(server, audit, objects);
    } catch (error) {
      await server.remove();
      audit.remove();
      throw error;
    }
  }

  /** What service accounts have asked so far. */
  events(): AuditEvent[] {
    return this.#audit.read();
  }

  async addNode(name: string): Promise<ClusterNode> {
    const number = this.#nodes.length + 1;
    const address = `192.0.2.${10 + number}`;
    const netns = new TestNetns("node");
    netns.addVeth("eth0", `port${number}`, this.#segment);
    this.#segment.ip(`link set port${number} master br0`);
    netns.ip(`addr add ${address}/24 dev eth0`);
    await this.#tunnel.into(netns);
    const folder = join(this.#folder, name);
    mkdirSync(folder);
    const node = { name, address, netns, folder };
    this.#nodes.push(node);
    const object = { apiVersion: "v1", kind: "Node", metadata: { name } };
    await this.server.must("POST", "/api/v1/nodes", object);
    const status = { addresses: [{ type: "InternalIP", address }] };
    await this.server.must("PATCH", `/api/v1/nodes/${name}/status`, { status }, merge);
    return node;
  }

  /** The first container of a DaemonSet's or Deployment's pod, on a node. */
  async run(workload: string, node: ClusterNode, options: RunOptions = {}): Promise<Program> {
    const { pod = `${workload}-${node.name}`, program } = options;
    const { spec } = podTemplateOf(this.#workload(workload));
    const container = this.#container(workload);
    const folder = join(node.folder, workload);
    mkdirSync(folder, { recursive: true });
    const env = {
      PATH: process.env["PATH"] ?? "",
      ...environmentOf(container, this.objects, {
        "metadata.name": pod,
        "spec.nodeName": node.name,
        "status.hostIPs": node.address,
      }),
      KUBECONFIG: await this.server.accountKubeconfig("kube-system", spec.serviceAccountName ?? ""),
      ...placesIn(folder),
      ...options.env,
    };
    const [, ...args] = container.command ?? [];
    const words = program === undefined ? [process.execPath, main, ...args] : [program];
    return this.#spawn(node, words, { env, log: join(folder, "log") });
  }

  /** What kubelet would hear from a probe of the first container: its httpGet, asked on the node. */
  async probe(
    workload: string,
    { netns }: ClusterNode,
    name: "livenessProbe" | "readinessProbe",
  ): Promise<boolean> {
    const { host, path, port } = (this.#container(workload)[name] as HttpProbe).httpGet;
    const ask = `fetch("http://${host}:${port}${path}").then((r) => console.log(r.status), () => console.log(0))`;
    return (await this.#ask(netns, ["-e", ask], {})).trim() === "200";
  }

  #ask(
    netns: TestNetns,
    words: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<string> {
    return this.exec({ netns }, [process.execPath, ...words], env);
  }

  /**
   * What a program prints on a node. Not synchronous: the tunnel to the API server is in this process.
   *
   * @throws {Error} for any exit code but 0.
   */
  async exec(
    { netns }: Pick<ClusterNode, "netns">,
    words: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<string> {
    const args = ["netns", "exec", netns.name, ...words];
    const { code, stdout, stderr } = await run("ip", args, { env });
    if (code === 0) return stdout;
    throw new Error(`${words.join(" ")}: exit ${code}\n${stdout}${stderr}`);
  }

  /** Command of a lifecycle hook of the first container. */
  hook(workload: string, name: "preStop"): readonly string[] {
    const { [name]: hook } = this.#container(workload)["lifecycle"] as Record<string, ExecHook>;
    return hook?.exec.command ?? [];
  }

  #container(workload: string): Container {
    const [container = { name: "" }] = podTemplateOf(this.#workload(workload)).spec.containers;
    return container;
  }

  #workload(name: string): ManifestObject {
    return this.objects.find(
      ({ kind, metadata }) =>
        (kind === "DaemonSet" || kind === "Deployment") && metadata.name === name,
    ) as ManifestObject;
  }

  #spawn(
    { netns }: ClusterNode,
    command: readonly string[],
    { env, log }: { readonly env: Record<string, string>; readonly log: string },
  ): Program {
    const child = spawn("ip", ["netns", "exec", netns.name, ...command], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.add(child);
    writeFileSync(log, "");
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => appendFileSync(log, chunk));
    }
    const ask = (command: readonly string[]) => this.#ask(netns, [main, ...command], env);
    return {
      log: () => readFileSync(log, "utf8"),
      end: (signal = "SIGTERM") => endChild(child, signal),
      ask,
      succeeds: async (command) => {
        const what = command.join(" ");
        const done = async () => (await ask(command)) !== undefined;
        await waitFor(done, { timeoutMs: 120_000, intervalMs: 200, what });
      },
      env,
    };
  }

  async remove(): Promise<void> {
    for (const child of this.#children) await endChild(child, "SIGTERM");
    await this.#tunnel.remove();
    for (const { netns } of this.#nodes) netns.remove();
    this.#segment.remove();
    await this.server.remove();
    this.#audit.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface RunOptions {
  /** Name of the pod. Default: of the workload and the node. */
  readonly pod?: string;
  /** Instead of the manifest's command. */
  readonly program?: string;
  /** Beside the manifest's. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A program of a manifest that runs on a node. */
export interface Program {
  readonly env: Readonly<Record<string, string>>;
  log(): string;
  /** What `tortie` with these words prints there, with the program's environment. @throws for exit 1 */
  ask(words: readonly string[]): Promise<string>;
  /** Waits until `tortie` with these words ends well. */
  succeeds(words: readonly string[]): Promise<void>;
  end(signal?: NodeJS.Signals): Promise<void>;
}

interface HttpProbe {
  readonly httpGet: { readonly host: string; readonly path: string; readonly port: number };
}

interface ExecHook {
  readonly exec: { readonly command: readonly string[] };
}

/** A machine has one of each; nodes of a test have their own. */
function placesIn(folder: string): Record<string, string> {
  return {
    TORTIE_RUN_DIR: join(folder, "run"),
    CALICO_NODENAME_FILE: join(folder, "nodename"),
    TORTIE_MTU_FILE: join(folder, "mtu"),
    TORTIE_CNI_SOCKET: join(folder, "cni.sock"),
    TORTIE_STATUS_FILE: join(folder, "status.json"),
  };
}
