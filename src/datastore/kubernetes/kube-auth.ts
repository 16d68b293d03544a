import type { KubeConfig } from "@kubernetes/client-node";
import type { Clock, Millis } from "../../lib/clock.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";

/** Where the API server is and who we are (facts 2.7). What is absent is looked for in the cluster. */
export interface KubeAccess {
  /** KUBECONFIG: files, separated by ":". */
  readonly kubeconfig?: string;
  /** K8S_CURRENT_CONTEXT */
  readonly context?: string;
  /** K8S_API_ENDPOINT, instead of the kubeconfig's server. */
  readonly endpoint?: string;
  /** Paths of PEM files: K8S_CA_FILE, K8S_CERT_FILE, K8S_KEY_FILE. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** K8S_INSECURE_SKIP_TLS_VERIFY */
  readonly skipTlsVerify?: boolean;
}

/** What a request carries to be let in. */
export interface RequestAuth {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsOptions;
}

export interface TlsOptions {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Files and credential helpers are asked again after this long: a token rotates within its life. */
const freshMs = 10_000;

/** Credentials as the kubeconfig tells them, read again as they rotate. */
export class KubeAuth {
  readonly #access: KubeAccess;
  readonly #clock: Clock;
  #config: KubeConfig;
  #cached: { readonly auth: Promise<RequestAuth>; readonly at: Millis } | undefined;

  private constructor(access: KubeAccess, config: KubeConfig, clock: Clock) {
    this.#access = access;
    this.#config = config;
    this.#clock = clock;
  }

  /** Loads `@kubernetes/client-node`, which takes 300 ms and 85 MB. @throws {InputError} */
  static async load(access: KubeAccess, clock: Clock): Promise<KubeAuth> {
    return new KubeAuth(access, await loadConfig(access), clock);
  }

  get server(): URL {
    return new URL(this.#config.getCurrentCluster()?.server ?? "");
  }

  async current(): Promise<RequestAuth> {
    const now = this.#clock.now();
    if (this.#cached === undefined || now - this.#cached.at >= freshMs) {
      this.#cached = { auth: authOf(this.#config), at: now };
    }
    try {
      return await this.#cached.auth;
    } catch (error) {
      this.#cached = undefined;
      throw error;
    }
  }

  /** Reads everything again: the server did not accept what we had. */
  async renew(): Promise<void> {
    this.#config = await loadConfig(this.#access);
    this.#cached = undefined;
  }
}

async function authOf(config: KubeConfig): Promise<RequestAuth> {
  const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] = { headers: {} };
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key, servername, rejectUnauthorized, auth } = options;
  const basic: Record<string, string> =
    typeof auth === "string"
      ? { Authorization: `Basic ${Buffer.from(auth).toString("base64")}` }
      : {};
  const tls = { ca, cert, key, servername, rejectUnauthorized };
  return {
    headers: { ...(options.headers as Record<string, string>), ...basic },
    tls: Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
  };
}

async function loadConfig(access: KubeAccess): Promise<KubeConfig> {
  // Not the whole package: the rest of it is a client for each kind.
  const { KubeConfig: Config } = await import("@kubernetes/client-node/dist/config.js");
  const config = new Config();
  const { kubeconfig, context, endpoint } = access;
  try {
    if (kubeconfig !== undefined) {
      const [first = "", ...others] = kubeconfig.split(":").filter(Boolean);
      config.loadFromFile(first);
      for (const file of others) {
        const other = new Config();
        other.loadFromFile(file);
        config.mergeConfig(other, true);
      }
    } else if (endpoint === undefined) {
      if (!process.env["KUBERNETES_SERVICE_HOST"]) {
        throw new InputError("Cannot find the API server: set KUBECONFIG or K8S_API_ENDPOINT");
      }
      config.loadFromCluster();
    }
    if (context !== undefined) config.setCurrentContext(context);
    return endpoint === undefined ? config : withEndpoint(config, access, new Config());
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(`Cannot read KUBECONFIG "${kubeconfig}": ${errorMessage(cause)}`, {
      cause,
    });
  }
}

/** The user of the kubeconfig, if there is one, on the server of K8S_API_ENDPOINT. */
function withEndpoint(config: KubeConfig, access: KubeAccess, result: KubeConfig): KubeConfig {
  const { endpoint = "", caFile, certFile, keyFile, skipTlsVerify = false } = access;
  const user = config.getCurrentUser() ?? { name: "user" };
  const cluster = config.getCurrentCluster() ?? { name: "cluster" };
  result.loadFromClusterAndUser(
    {
      ...cluster,
      server: endpoint,
      // Who writes http:// asks for no TLS at all; the library wants to hear it this way.
      skipTLSVerify: skipTlsVerify || endpoint.startsWith("http:"),
      ...(caFile === undefined ? {} : { caFile }),
    },
    {
      ...user,
      ...(certFile === undefined ? {} : { certFile }),
      ...(keyFile === undefined ? {} : { keyFile }),
    },
  );
  return result;
}
