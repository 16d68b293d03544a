import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { leaseNamespace } from "../../../src/api/leases.ts";
import { libc } from "../../../src/kernel/netlink/libc.ts";
import { openNetns } from "../../../src/kernel/netns.ts";
import {
  nodeProcesses,
  startDaemon,
  stopProcesses,
  tortieProgram,
} from "../../../src/lab/daemons.ts";
import {
  addNetns,
  createFabric,
  netnsPath,
  plugNode,
  removeNetns,
} from "../../../src/lab/fabric.ts";
import {
  defaultRequest,
  type Encapsulation,
  type LabNode,
  type LabPlan,
  planLab,
} from "../../../src/lab/lab-plan.ts";
import { type LabPaths, labPaths } from "../../../src/lab/lab-state.ts";
import { nodeEnvironment } from "../../../src/lab/node-environment.ts";
import type { ProcessIdentity } from "../../../src/lib/own-process.ts";
import { cniPlugins } from "../cni.ts";
import { KubeApiServer } from "../kube-apiserver.ts";
import { type Ran, run } from "../lab.ts";
import { waitFor } from "../wait-for.ts";
import { Containerd } from "./containerd.ts";
import type { CriPod } from "./cri.ts";
import { Kubelet } from "./kubelet.ts";
import { debianPlugins, pluginEnvironment } from "./lab-containerd.ts";

const CLONE_NEWNET = 0x40000000;

export interface ClusterOptions {
  readonly nodes: number;
  /** Default: None, on one segment. */
  readonly encapsulation?: Encapsulation;
  readonly segments?: number;
  /** More environment of every `tortie node`. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface PodOptions {
  /** Default: the first. */
  readonly node?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly nameserver?: string;
}

export interface NodeMarks {
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
}

export interface ServicePort {
  readonly address: string;
  readonly port: number;
  readonly protocol: "tcp" | "udp";
}

/** A Pod object whose sandbox runs. */
export interface RunningPod extends CriPod {
  readonly node: ClusterNode;
  readonly namespace: string;
  readonly address: string;
}

/**
 * A Kubernetes cluster on this machine: a real API server, and nodes of the lab's fabric that each run
 * `tortie node`, a containerd and kubelet's part. This process moves into the router's namespace for good:
 * the API server listens there, and nothing of it is seen elsewhere.
 */
export class Cluster {
  readonly server: KubeApiServer;
  readonly nodes: readonly ClusterNode[];
  readonly plan: LabPlan;
  readonly #folder: string;
  #controllers: ProcessIdentity | undefined;
  readonly #served = new Map<string, string>();

  private constructor(
    server: KubeApiServer,
    plan: LabPlan,
    nodes: readonly ClusterNode[],
    folder: string,
  ) {
    this.server = server;
    this.plan = plan;
    this.nodes = nodes;
    this.#folder = folder;
  }

  static async start(program: string, options: ClusterOptions): Promise<Cluster> {
    const { nodes: count, encapsulation = "None", segments = 1, env = {} } = options;
    const name = `k${process.pid}`;
    const plan = planLab({ ...defaultRequest, name, nodes: count, segments, encapsulation });
    const folder = mkdtempSync(join(tmpdir(), "tt-cluster-"));
    const address = plan.segments[0]?.routerAddresses[0] ?? "";
    const server = await startServer(program, plan, address).catch(async (error: unknown) => {
      await removeFabric(plan);
      rmSync(folder, { recursive: true });
      throw error;
    });
    const paths = labPaths(name, { TORTIE_LAB_DIR: folder });
    const request = { ...defaultRequest, name, nodes: count, segments, encapsulation };
    const state = { request, phase: "up" } as const;
    const kubeconfig = join(folder, "kubeconfig");
    writeFileSync(kubeconfig, fromNodes(server, address), { mode: 0o600 });
    const api = {
      DATASTORE_TYPE: "kubernetes",
      KUBECONFIG: kubeconfig,
      WAIT_FOR_DATASTORE: "true",
    };
    const nodes = plan.nodes.map(
      (node) =>
        new ClusterNode({
          plan,
          node,
          server,
          paths,
          env: { ...nodeEnvironment(node, plan, state, paths), ...api, ...env },
        }),
    );
    const cluster = new Cluster(server, plan, nodes, folder);
    try {
      await server.installCrds("crd.projectcalico.org");
      await cluster.createNamespace("default");
      await server.createNamespaces(leaseNamespace);
      await Promise.all(nodes.map((node) => node.register()));
      await Promise.all(nodes.map((node) => node.boot()));
      return cluster;
    } catch (error) {
      const logs = nodes.map((node) => node.log()).join("");
      await cluster.remove();
      throw new Error(`Cannot start the cluster:\n${logs}`, { cause: error });
    }
  }

  /** Path of the administrator's kubeconfig, with the server as nodes and pods reach it. */
  get kubeconfig(): string {
    return join(this.#folder, "kubeconfig");
  }

  /** By its number, from 1. */
  node(number: number): ClusterNode {
    const node = this.nodes[number - 1];
    if (node === undefined) throw new Error(`The cluster has no node ${number}`);
    return node;
  }

  /** With its account "default", as kube-controller-manager makes it. */
  async createNamespace(
    name: string,
    labels: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    if (name !== "default") {
      const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
      await this.server.must("POST", "/api/v1/namespaces", namespace);
    }
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
    const path = `/api/v1/namespaces/${name}/serviceaccounts`;
    await waitFor(() => this.server.must("POST", path, account), { what: `namespace ${name}` });
  }

  /** Creates a Pod that is scheduled already, and gives its UID. */
  async createPod(name: string, options: PodOptions = {}): Promise<string> {
    const {
      node = this.node(1).name,
      namespace = "default",
      labels = {},
      annotations = {},
    } = options;
    const { command, ports = [], nameserver } = options;
    const container = {
      name: "main",
      image: "localhost/busybox:1",
      ports,
      ...(command === undefined ? {} : { command }),
    };
    const dns =
      nameserver === undefined
        ? {}
        : { dnsPolicy: "None", dnsConfig: { nameservers: [nameserver] } };
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels, annotations },
      spec: { nodeName: node, serviceAccountName: "default", containers: [container], ...dns },
    };
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const { metadata } = (await this.server.must("POST", path, pod)) as {
      metadata: { uid: string };
    };
    return metadata.uid;
  }

  /** Creates a Pod and waits until its container runs. */
  async runPod(name: string, options: PodOptions = {}): Promise<RunningPod> {
    const { namespace = "default" } = options;
    const uid = await this.createPod(name, options);
    const node = this.nodes.find((each) => each.name === (options.node ?? this.node(1).name));
    if (node === undefined) throw new Error(`There is no node ${options.node}`);
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`;
    const pod = await waitFor(
      async () => {
        const { status } = (await this.server.must("GET", path)) as { status: { phase: string } };
        if (status.phase === "Running") return node.kubelet.podOf(uid);
        throw new Error(`${status.phase}: ${node.kubelet.failureOf(`${namespace}/${name}`)}`);
      },
      { timeoutMs: 180_000, intervalMs: 50, what: `pod ${name}` },
    );
    return { ...pod, node, namespace, address: pod.addresses[0] ?? "" };
  }

  /** With grace, as kubelet ends it; or at once, so that nobody waits for the node. */
  async deletePod(
    pod: { name: string; namespace: string },
    how: "gracefully" | "by force" = "gracefully",
  ): Promise<void> {
    const path = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`;
    await this.server.must("DELETE", path, how === "by force" ? { gracePeriodSeconds: 0 } : {});
    if (how === "by force") return;
    await waitFor(async () => (await this.server.request("GET", path)).status === 404, {
      timeoutMs: 300_000,
      intervalMs: 50,
      what: `the end of pod ${pod.name}`,
    });
  }

  /** Labels and annotations of a node; null removes. */
  async markNode(node: string, metadata: NodeMarks): Promise<void> {
    const path = `/api/v1/nodes/${node}`;
    await this.server.must("PATCH", path, { metadata }, "application/merge-patch+json");
  }

  /** The CLI on the cluster. */
  cli(args: readonly string[], input?: string): Promise<Ran> {
    const env = { DATASTORE_TYPE: "kubernetes", KUBECONFIG: this.kubeconfig };
    return run(tortieProgram, args, { env, ...(input === undefined ? {} : { input }) });
  }

  /** `tortie apply` of manifests of projectcalico.org/v3. */
  async apply(manifest: string): Promise<void> {
    const { code, stdout, stderr } = await this.cli(["apply", "-f", "-"], manifest);
    if (code !== 0) throw new Error(`apply: exit ${code}\n${stdout}${stderr}`);
  }

  /**
   * Translates a Service's address on every node, as kube-proxy would, to one pod; null: no more.
   */
  async serve(service: ServicePort, pod: { readonly address: string } | null): Promise<void> {
    const { address, port, protocol } = service;
    const rule = ["-d", address, "-p", protocol, "--dport", String(port), "-j", "DNAT"];
    for (const node of this.nodes) {
      for (const chain of ["PREROUTING", "OUTPUT"]) {
        const chainRule = [chain, ...rule, "--to-destination"];
        const old = this.#served.get(`${address}:${port}/${protocol}`);
        if (old !== undefined)
          await node.must("iptables", "-w", "-t", "nat", "-D", ...chainRule, old);
        if (pod === null) continue;
        await node.must(
          "iptables",
          "-w",
          "-t",
          "nat",
          "-A",
          ...chainRule,
          `${pod.address}:${port}`,
        );
      }
    }
    if (pod !== null) this.#served.set(`${address}:${port}/${protocol}`, `${pod.address}:${port}`);
    else this.#served.delete(`${address}:${port}/${protocol}`);
  }

  startControllers(): void {
    this.#controllers = startDaemon({
      program: tortieProgram,
      args: ["controllers"],
      env: { DATASTORE_TYPE: "kubernetes", KUBECONFIG: this.kubeconfig },
      log: join(this.#folder, "controllers.log"),
    });
  }

  async remove(): Promise<void> {
    if (this.#controllers !== undefined) await stopProcesses([this.#controllers], 10_000);
    await Promise.all(this.nodes.map((node) => node.remove()));
    await this.server.remove();
    await removeFabric(this.plan);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface BgpSession {
  readonly address: string;
  readonly state: string;
  /** ISO time of the last change of state. */
  readonly since: string;
}

interface NodeParts {
  readonly plan: LabPlan;
  readonly node: LabNode;
  readonly server: KubeApiServer;
  readonly paths: LabPaths;
  readonly env: Readonly<Record<string, string>>;
}

/** One machine of a cluster. */
export class ClusterNode {
  readonly name: string;
  readonly address: string;
  readonly netns: string;
  readonly #parts: NodeParts;
  #containerd: Containerd | undefined;
  #kubelet: Kubelet | undefined;
  #tortie: ProcessIdentity | undefined;

  constructor(parts: NodeParts) {
    const { name, addresses, netns } = parts.node;
    this.name = name;
    this.address = addresses[0] ?? "";
    this.netns = netns;
    this.#parts = parts;
  }

  get containerd(): Containerd {
    if (this.#containerd === undefined) throw new Error(`${this.name} has no containerd`);
    return this.#containerd;
  }

  get kubelet(): Kubelet {
    if (this.#kubelet === undefined) throw new Error(`${this.name} has no kubelet`);
    return this.#kubelet;
  }

  /** Path of the file in which the node keeps the MTU of pods. */
  get mtuFile(): string {
    return this.#parts.env["TORTIE_MTU_FILE"] ?? "";
  }

  /** The Node object, as kubelet writes it. */
  async register(): Promise<void> {
    const { server } = this.#parts;
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: this.name } };
    await server.must("POST", "/api/v1/nodes", node);
    const status = { addresses: [{ type: "InternalIP", address: this.address }] };
    const path = `/api/v1/nodes/${this.name}/status`;
    await server.must("PATCH", path, { status }, "application/merge-patch+json");
  }

  /** Starts containerd, kubelet's part and `tortie node`. */
  async boot(): Promise<void> {
    const { server, paths } = this.#parts;
    mkdirSync(paths.runFolder(this.name), { recursive: true, mode: 0o700 });
    this.startTortie();
    this.#containerd = await Containerd.start({
      netns: netnsPath(this.netns),
      pluginFolders: [dirname(cniPlugins.shim), debianPlugins],
      env: pluginEnvironment(paths, this.name),
    });
    const conflist = join(this.#containerd.conflistFolder, "10-calico.conflist");
    writeFileSync(conflist, JSON.stringify(clusterConflist()));
    await this.ready();
    this.#kubelet = new Kubelet(this.name, server, this.#containerd.cri);
    this.#kubelet.start();
  }

  startTortie(env: Readonly<Record<string, string>> = {}): void {
    const { paths } = this.#parts;
    this.#tortie = startDaemon({
      program: tortieProgram,
      args: ["node"],
      env: { ...this.#parts.env, ...env },
      netns: this.netns,
      log: paths.nodeLog(this.name),
    });
  }

  /** Processes of `tortie node`. */
  get processes(): ReturnType<typeof nodeProcesses> {
    return nodeProcesses(this.#parts.paths.runFolder(this.name));
  }

  /** Ready as a readiness probe asks for it, felix in sync, and the agent there for the plugin. */
  async ready(): Promise<void> {
    const socket = this.#parts.paths.cniSocket(this.name);
    await waitFor(
      async () =>
        existsSync(socket) &&
        /^HTTP\S+ 200.*"InternalDataplaneMainLoop"/s.test(
          (await this.inside("bash", "-c", readiness)).stdout,
        ),
      {
        timeoutMs: 90_000,
        intervalMs: 100,
        what: `readiness of ${this.name}`,
      },
    );
  }

  /** Ends `tortie node` and its children: with SIGTERM, or all at once with SIGKILL. */
  async stopTortie(patienceMs = 15_000): Promise<void> {
    const { node, felix, bgp } = this.processes;
    const own = this.#tortie === undefined ? [] : [this.#tortie];
    const first = patienceMs === 0 ? [...own, node, felix, bgp] : [...own, node];
    await stopProcesses(
      first.flatMap((process) => process ?? []),
      patienceMs,
    );
    await stopProcesses(Object.values(this.processes), patienceMs);
  }

  /** The machine loses its power: processes, pods and all that the kernel knew. */
  async crash(): Promise<void> {
    await this.#kubelet?.stop();
    await this.stopTortie(0);
    await this.#containerd?.remove();
    this.#containerd = undefined;
    this.#kubelet = undefined;
    await removeNetns(this.netns);
  }

  /** After a crash: the machine is there again, with what its disk had. */
  async reboot(): Promise<void> {
    const { plan, node } = this.#parts;
    await addNetns(this.netns);
    // The kernel removes the old end of the wire in its own time.
    await waitFor(() => plugNode(plan, node).then(() => true), { what: `a wire to ${this.name}` });
    await this.boot();
  }

  /** Sessions of its speaker. */
  async sessions(): Promise<readonly BgpSession[]> {
    const socket = this.#parts.paths.bgpSocket(this.name);
    const args = ["bgp", "peers", "--socket", socket, "-o", "json"];
    const { code, stdout, stderr } = await run(tortieProgram, args);
    if (code !== 0) throw new Error(`bgp peers: exit ${code}\n${stderr}`);
    const lines = stdout.split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line) as BgpSession);
  }

  /** What its speaker knows of a prefix: a line for each path. */
  async paths(prefix: string): Promise<string> {
    const socket = this.#parts.paths.bgpSocket(this.name);
    return (await run(tortieProgram, ["bgp", "rib", prefix, "--socket", socket])).stdout;
  }

  /** Runs a program in the node's namespace. */
  inside(...command: readonly string[]): Promise<Ran> {
    return run("nsenter", [`--net=${netnsPath(this.netns)}`, "--", ...command]);
  }

  /** As `inside`, but a failure throws. */
  async must(...command: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.inside(...command);
    if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Names of the pods' interfaces. */
  async veths(): Promise<readonly string[]> {
    const links = await this.must("ip", "-o", "link", "show");
    return [...links.matchAll(/: (cali[0-9a-f]{11})@/g)].map(([, name = ""]) => name);
  }

  log(): string {
    try {
      return readFileSync(this.#parts.paths.nodeLog(this.name), "utf8");
    } catch {
      return "";
    }
  }

  async remove(): Promise<void> {
    await this.#kubelet?.stop();
    await this.stopTortie();
    await this.#containerd?.remove();
  }
}

/** Without curl: what bash can say to the node's health port. */
const readiness =
  'exec 3<>/dev/tcp/127.0.0.1/9099 && printf "GET /readiness HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3';

/** As Calico's manifests have it: what containerd knows of the pod reaches the plugins. */
function clusterConflist(): object {
  const annotations = { "io.kubernetes.cri.pod-annotations": true };
  return {
    name: "k8s-pod-network",
    cniVersion: "1.0.0",
    plugins: [
      {
        type: "calico",
        ipam: { type: "calico-ipam" },
        policy: { type: "k8s" },
        capabilities: annotations,
      },
      { type: "portmap", snat: true, capabilities: { portMappings: true } },
    ],
  };
}

function fromNodes(server: KubeApiServer, address: string): string {
  const { port } = new URL(server.endpoint);
  return readFileSync(server.kubeconfig(), "utf8").replace(
    server.endpoint,
    `https://${address}:${port}`,
  );
}

/** In the router's namespace, where this process is from then on. */
async function startServer(
  program: string,
  plan: LabPlan,
  address: string,
): Promise<KubeApiServer> {
  await createFabric(plan);
  enter(netnsPath(plan.router));
  const flags = ["--bind-address=0.0.0.0", `--advertise-address=${address}`];
  return await KubeApiServer.start(program, { flags });
}

async function removeFabric({ nodes, router }: LabPlan): Promise<void> {
  for (const { netns } of nodes) await removeNetns(netns);
  await removeNetns(router);
}

function enter(path: string): void {
  if (libc.setns(openNetns(path), CLONE_NEWNET) < 0) throw new Error(`Cannot enter ${path}`);
}
