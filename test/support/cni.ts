import { fileURLToPath } from "node:url";
import { type Ran, run } from "./lab.ts";

/** Both programs that a runtime may run: the shim in C, and the same in TypeScript. */
export const cniPlugins: Readonly<Record<"shim" | "TypeScript", string>> = {
  shim: fileURLToPath(new URL("../../build/cni/calico", import.meta.url)),
  TypeScript: fileURLToPath(new URL("../../bin/tortie-cni", import.meta.url)),
};

export const cniConfig = {
  cniVersion: "1.0.0",
  name: "k8s-pod-network",
  type: "calico",
  ipam: { type: "calico-ipam" },
};

export interface CniRequest {
  readonly command: string;
  readonly pod: string;
  /** Default: none. */
  readonly netns?: string;
  readonly config?: unknown;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CniRan extends Ran {
  /** What the plugin printed, read as JSON; an empty object when it printed nothing. */
  readonly answer: {
    readonly cniVersion?: string;
    readonly code?: number;
    readonly msg?: string;
    readonly details?: string;
    readonly ips?: readonly { readonly address: string }[];
    readonly ip4?: { readonly ip: string };
    readonly interfaces?: readonly {
      readonly name: string;
      readonly sandbox?: string;
      readonly mtu?: number;
    }[];
    readonly supportedVersions?: readonly string[];
  };
}

/** A runtime that runs one of the plugins, perhaps by a wrapper that changes what it sees. */
export class CniRuntime {
  readonly #plugin: string;
  readonly #socket: string;
  readonly #spool: string;

  /** `spool`: folder for deletions that no agent is there for. */
  constructor(plugin: string, socket: string, spool = "/nonexistent/cni-deletions") {
    this.#plugin = plugin;
    this.#socket = socket;
    this.#spool = spool;
  }

  async call(request: CniRequest, wrapper: readonly string[] = []): Promise<CniRan> {
    const { command, pod, netns, config = cniConfig } = request;
    const [program = this.#plugin, ...args] = [...wrapper, this.#plugin];
    const ran = await run(program, args, {
      input: typeof config === "string" ? config : JSON.stringify(config),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: `id-${pod}`,
        CNI_IFNAME: "eth0",
        CNI_PATH: "/opt/cni/bin",
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
        ...(netns === undefined ? {} : { CNI_NETNS: netns }),
        TORTIE_CNI_SOCKET: this.#socket,
        TORTIE_CNI_SPOOL: this.#spool,
        ...request.env,
      },
    });
    return { ...ran, answer: ran.stdout === "" ? {} : JSON.parse(ran.stdout) };
  }
}
