import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type Container,
  environmentOf,
  type ManifestObject,
  podTemplateOf,
} from "../deploy/manifest.ts";
import type { KubeApiServer } from "../kube-apiserver.ts";
import type { Containerd } from "../runtimes/containerd.ts";
import type { CriPod, ExecResult, PodRequest } from "../runtimes/cri.ts";
import { waitFor } from "../wait-for.ts";

/** Where the containers of a test run, and what stands there for the host. */
export interface ContainerHost {
  readonly containerd: Containerd;
  readonly server: KubeApiServer;
  readonly objects: readonly ManifestObject[];
  /** For the host's folders, and those of pods. */
  readonly folder: string;
  /** Fields of pods by path, as in "spec.nodeName". */
  readonly fields: Readonly<Record<string, string>>;
}

interface SecurityContext {
  readonly privileged?: boolean;
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly readOnlyRootFilesystem?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly capabilities?: { readonly drop: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
}

interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string; readonly type: string };
  readonly emptyDir?: object;
}

interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
}

/** A container of a manifest, run by containerd as kubelet tells it: command, environment, mounts, user, rights. */
export class ManifestContainer {
  readonly name: string;
  readonly #host: ContainerHost;
  readonly #workload: ManifestObject;
  readonly #container: Container;
  #pod: CriPod | undefined;

  constructor(host: ContainerHost, workload: string, name: string = workload) {
    this.#host = host;
    this.name = name;
    this.#workload = host.objects.find(
      (object) => object.metadata.name === workload && "spec" in object,
    ) as ManifestObject;
    const { initContainers = [], containers } = podTemplateOf(this.#workload).spec;
    const all = [...initContainers, ...containers];
    this.#container = all.find((each) => each.name === name) as Container;
  }

  /** Runs it to its end, as an init container. Gives the exit code and what it printed. */
  async toEnd(): Promise<ExecResult> {
    const { cri } = this.#host.containerd;
    const pod = await this.start();
    const code = async () => {
      const ended = await cri.exitCode(pod);
      return ended === undefined ? undefined : { ended };
    };
    const { ended } = await waitFor(code, { timeoutMs: 60_000, what: `the end of ${this.name}` });
    await this.end();
    return { code: ended, output: this.log() };
  }

  async start(): Promise<CriPod> {
    const { containerd } = this.#host;
    this.#pod = await containerd.cri.runPod({
      ...this.#request,
      container: {
        image: { image: this.#container["image"] },
        envs: this.#environment(),
        mounts: await this.#mounts(),
        linux: { security_context: rightsOf(this.#security) },
      },
    });
    return this.#pod;
  }

  log(): string {
    return this.#host.containerd.cri.log(this.#request);
  }

  /** What a probe or a hook does: a program in the container. @throws {Error} when it has ended */
  exec(...words: readonly string[]): Promise<ExecResult> {
    if (this.#pod === undefined) throw new Error(`${this.name} does not run`);
    return this.#host.containerd.cri.exec(this.#pod, ...words);
  }

  async end(): Promise<void> {
    if (this.#pod === undefined) return;
    const { cri } = this.#host.containerd;
    await cri.stop(this.#pod);
    await cri.removeSandbox(this.#pod.sandbox);
    this.#pod = undefined;
  }

  get #security(): SecurityContext {
    return (this.#container["securityContext"] ?? {}) as SecurityContext;
  }

  get #request(): PodRequest {
    return {
      name: this.name,
      namespace: "kube-system",
      command: this.#container.command ?? [],
      hostNetwork: true,
      privileged: this.#security.privileged === true,
    };
  }

  /** The manifest's, and where the API server is: as kubelet adds it. */
  #environment(): { readonly key: string; readonly value: string }[] {
    const { objects, fields, server } = this.#host;
    const { hostname, port } = new URL(server.endpoint);
    const environment = {
      ...environmentOf(this.#container, objects, fields),
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port,
    };
    return Object.entries(environment).map(([key, value]) => ({ key, value }));
  }

  async #mounts(): Promise<object[]> {
    const { volumes = [] } = podTemplateOf(this.#workload).spec as { volumes?: Volume[] };
    const mounts = (this.#container["volumeMounts"] ?? []) as readonly VolumeMount[];
    return [
      {
        container_path: "/var/run/secrets/kubernetes.io/serviceaccount",
        host_path: await this.#account(),
        readonly: true,
      },
      ...mounts.flatMap(({ name, mountPath, readOnly = false }) => {
        const volume = volumes.find((each) => each.name === name);
        const source = volume === undefined ? undefined : this.#sourceOf(volume);
        if (source === undefined) return [];
        return [{ container_path: mountPath, host_path: source, readonly: readOnly }];
      }),
    ];
  }

  /** Nothing for a Secret that is not there. */
  #sourceOf({ name, hostPath, emptyDir }: Volume): string | undefined {
    if (hostPath?.type === "Directory") return hostPath.path;
    if (hostPath === undefined && emptyDir === undefined) return undefined;
    const place =
      hostPath === undefined
        ? join(this.#host.folder, `${this.name}-${name}`)
        : join(this.#host.folder, hostPath.path);
    if (hostPath?.type === "FileOrCreate") {
      mkdirSync(dirname(place), { recursive: true });
      writeFileSync(place, "");
    } else {
      mkdirSync(place, { recursive: true });
      // As kubelet does it, for any user.
      if (emptyDir !== undefined) chmodSync(place, 0o777);
    }
    return place;
  }

  /** What kubelet mounts of the pod's service account. */
  async #account(): Promise<string> {
    const { serviceAccountName = "" } = podTemplateOf(this.#workload).spec;
    const path = await this.#host.server.accountKubeconfig("kube-system", serviceAccountName);
    const { users, clusters } = JSON.parse(readFileSync(path, "utf8")) as {
      readonly users: readonly { readonly user: { readonly token: string } }[];
      readonly clusters: readonly { readonly cluster: { "certificate-authority": string } }[];
    };
    const folder = join(this.#host.folder, `account-${serviceAccountName}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "token"), users[0]?.user.token ?? "");
    const certificate = clusters[0]?.cluster["certificate-authority"] ?? "";
    writeFileSync(join(folder, "ca.crt"), readFileSync(certificate));
    writeFileSync(join(folder, "namespace"), "kube-system");
    return folder;
  }
}

function rightsOf(context: SecurityContext): object {
  const { privileged = false, runAsUser = 0, runAsGroup = 0, capabilities } = context;
  return {
    privileged,
    run_as_user: { value: runAsUser },
    run_as_group: { value: runAsGroup },
    readonly_rootfs: context.readOnlyRootFilesystem === true,
    no_new_privs: context.allowPrivilegeEscalation === false,
    capabilities: { drop_capabilities: capabilities?.drop ?? [] },
    namespace_options: { network: 2, pid: 1, ipc: 0 },
    ...(context.seccompProfile?.type === "RuntimeDefault" ? { seccomp: { profile_type: 0 } } : {}),
  };
}
