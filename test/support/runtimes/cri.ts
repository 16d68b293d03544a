import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client, credentials, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** What of a pod the runtime is told, as kubelet tells it. */
export interface PodRequest {
  readonly name: string;
  /** Default: "default". */
  readonly namespace?: string;
  readonly uid?: string;
  /** Which try this sandbox is of the pod: the runtime has each once. */
  readonly attempt?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly hostPorts?: readonly { readonly hostPort: number; readonly containerPort: number }[];
  readonly nameserver?: string;
  /** What its container runs. Default: it waits. */
  readonly command?: readonly string[];
  /** More of its container, or another image, as cri.proto calls it. */
  readonly container?: object;
  /** It has the network of the node. */
  readonly hostNetwork?: boolean;
  readonly privileged?: boolean;
}

/** A pod that runs: its sandbox, its container and what the CNI plugin gave it. */
export interface CriPod {
  readonly name: string;
  readonly sandbox: string;
  readonly container: string;
  readonly addresses: readonly string[];
  /** Path of its network namespace. */
  readonly netns: string;
}

export interface ExecResult {
  readonly code: number;
  readonly output: string;
}

const service = loadSync(fileURLToPath(new URL("cri.proto", import.meta.url)), {
  keepCase: true,
  defaults: true,
})["runtime.v1.RuntimeService"] as unknown as Readonly<
  Record<string, MethodDefinition<object, object>>
>;

const deadlineMs = 120_000;
/** Of the image that `busyboxImage` makes. */
const image = "localhost/busybox:1";
const waits = ["/bin/sleep", "2147483647"];

/** Kubelet's side of the container runtime interface, on the runtime's socket. */
export class Cri {
  readonly #client: Client;
  readonly #logs: string;

  /** @param logs - folder for what containers print. */
  constructor(socket: string, logs: string) {
    this.#client = new Client(`unix:${socket}`, credentials.createInsecure());
    this.#logs = logs;
  }

  /** Sandbox and container. Where the container fails, the sandbox is removed. */
  async runPod(request: PodRequest): Promise<CriPod> {
    const config = this.#sandboxConfig(request);
    const answer = await this.call<{ pod_sandbox_id: string }>("RunPodSandbox", { config });
    const sandbox = answer.pod_sandbox_id;
    try {
      const container = await this.#runContainer(sandbox, config, request);
      return { name: request.name, sandbox, container, ...(await this.#networkOf(sandbox)) };
    } catch (error) {
      await this.removeSandbox(sandbox);
      throw error;
    }
  }

  async #runContainer(
    sandbox: string,
    sandboxConfig: object,
    { command = waits, container: more }: PodRequest,
  ): Promise<string> {
    const own = { metadata: { name: "main" }, image: { image }, command, log_path: "main.log" };
    const config = { ...own, ...more };
    const { container_id: container } = await this.call<{ container_id: string }>(
      "CreateContainer",
      { pod_sandbox_id: sandbox, config, sandbox_config: sandboxConfig },
    );
    await this.call("StartContainer", { container_id: container });
    return container;
  }

  /** Of a sandbox that the runtime does not know, nothing. */
  async removeSandbox(sandbox: string): Promise<void> {
    await this.call("StopPodSandbox", { pod_sandbox_id: sandbox });
    await this.call("RemovePodSandbox", { pod_sandbox_id: sandbox });
  }

  /** All that it knows, each with its pod's UID. */
  async sandboxes(): Promise<readonly { readonly id: string; readonly pod: string }[]> {
    const { items } = await this.call<{ items: { id: string; metadata: { uid: string } }[] }>(
      "ListPodSandbox",
      {},
    );
    return items.map(({ id, metadata }) => ({ id, pod: metadata.uid }));
  }

  /** The exit code of a container that has ended. */
  async exitCode({ container }: CriPod): Promise<number | undefined> {
    const { status } = await this.call<{ status: { state: number; exit_code: number } }>(
      "ContainerStatus",
      { container_id: container },
    );
    return status.state === 2 ? status.exit_code : undefined;
  }

  /** SIGTERM, and SIGKILL where that is not enough. */
  async stop({ container }: CriPod): Promise<void> {
    await this.call("StopContainer", { container_id: container, timeout: 30 });
  }

  /** What the container of a pod has printed. */
  log({ name, namespace = "default" }: PodRequest): string {
    const file = join(this.#logFolder(name, namespace), "main.log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  async exec(pod: CriPod, ...cmd: readonly string[]): Promise<ExecResult> {
    const ran = await this.call<{ exit_code: number; stdout?: Buffer; stderr?: Buffer }>(
      "ExecSync",
      { container_id: pod.container, cmd, timeout: 60 },
    );
    return { code: ran.exit_code, output: `${ran.stdout ?? ""}${ran.stderr ?? ""}` };
  }

  /** Whether the runtime says that the network is there, and if not why. */
  async networkReady(): Promise<{ readonly ready: boolean; readonly message: string }> {
    const { status } = await this.call<{
      status: { conditions: { type: string; status: boolean; message: string }[] };
    }>("Status", {});
    const condition = status.conditions.find(({ type }) => type === "NetworkReady");
    return { ready: condition?.status === true, message: condition?.message ?? "" };
  }

  call<Answer extends object>(method: string, request: object): Promise<Answer> {
    const definition = service[method];
    if (definition === undefined) throw new Error(`Cannot call ${method}: cri.proto lacks it`);
    const { path, requestSerialize, responseDeserialize } = definition;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, answer?: object) => {
          if (error === null) resolve((answer ?? {}) as Answer);
          else reject(new Error(`${method}: ${error.details}`, { cause: error }));
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }

  async #networkOf(sandbox: string): Promise<Pick<CriPod, "addresses" | "netns">> {
    const { status, info } = await this.call<{
      status: { network: { ip: string; additional_ips: { ip: string }[] } };
      info: { info: string };
    }>("PodSandboxStatus", { pod_sandbox_id: sandbox, verbose: true });
    const { ip, additional_ips: more } = status.network;
    const { runtimeSpec } = JSON.parse(info.info) as {
      runtimeSpec: { linux: { namespaces: { type: string; path?: string }[] } };
    };
    const netns = runtimeSpec.linux.namespaces.find(({ type }) => type === "network");
    return { addresses: [ip, ...more.map((each) => each.ip)], netns: netns?.path ?? "" };
  }

  #sandboxConfig(request: PodRequest): object {
    const { name, namespace = "default", uid = randomUUID(), attempt = 0, nameserver } = request;
    const search = [`${namespace}.svc.cluster.local`, "svc.cluster.local", "cluster.local"];
    return {
      metadata: { name, uid, namespace, attempt },
      // A pod with the node's network has the node's name.
      hostname: request.hostNetwork === true ? "" : name,
      log_directory: this.#logFolder(name, namespace),
      annotations: request.annotations ?? {},
      port_mappings: (request.hostPorts ?? []).map(({ hostPort, containerPort }) => ({
        protocol: 0,
        container_port: containerPort,
        host_port: hostPort,
      })),
      ...(nameserver === undefined
        ? {}
        : { dns_config: { servers: [nameserver], searches: search } }),
      linux: {
        security_context: {
          namespace_options: { network: request.hostNetwork === true ? 2 : 0, pid: 1, ipc: 0 },
          privileged: request.privileged === true,
        },
      },
    };
  }

  #logFolder(name: string, namespace: string): string {
    return join(this.#logs, `${namespace}_${name}`);
  }
}
