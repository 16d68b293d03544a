import { readFileSync } from "node:fs";
import type { User } from "@kubernetes/client-node/dist/config_types.js";
import { ExecAuth } from "@kubernetes/client-node/dist/exec_auth.js";
import type { Clock, Millis } from "../../lib/clock.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import { type Login, loginOfFiles, loginOfPod, tokenFileOf } from "./kubeconfig.ts";

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
  #credentials: Credentials;
  #cached: { readonly auth: Promise<RequestAuth>; readonly at: Millis } | undefined;

  private constructor(access: KubeAccess, clock: Clock, credentials: Credentials) {
    this.#access = access;
    this.#clock = clock;
    this.#credentials = credentials;
  }

  /** @throws {InputError} */
  static async load(access: KubeAccess, clock: Clock): Promise<KubeAuth> {
    return new KubeAuth(access, clock, new Credentials(await loadLogin(access)));
  }

  get server(): URL {
    return this.#credentials.server;
  }

  async current(): Promise<RequestAuth> {
    const now = this.#clock.now();
    if (this.#cached === undefined || now - this.#cached.at >= freshMs) {
      this.#cached = { auth: this.#credentials.read(), at: now };
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
    this.#credentials = new Credentials(await loadLogin(this.#access));
    this.#cached = undefined;
  }
}

/** What one login gives; its files and helpers are asked at each reading. */
class Credentials {
  readonly #login: Login;
  readonly #helper = new ExecAuth();
  readonly server: URL;

  constructor(login: Login) {
    this.#login = login;
    const { server, proxyUrl } = login.cluster ?? {};
    if (!server) throw new InputError("Cannot find the API server: the kubeconfig names none");
    if (proxyUrl)
      throw new InputError(`Cannot accept proxy-url "${proxyUrl}": it is not supported`);
    this.server = new URL(server);
  }

  async read(): Promise<RequestAuth> {
    const { cluster, user } = this.#login;
    const tls = {
      ca: fileOrData(cluster?.caFile, cluster?.caData),
      cert: fileOrData(user?.certFile, user?.certData),
      key: fileOrData(user?.keyFile, user?.keyData),
      servername: cluster?.tlsServerName,
      rejectUnauthorized: cluster?.skipTLSVerify === true ? false : undefined,
    };
    const headers = {
      ...(user?.impersonateUser ? { "Impersonate-User": user.impersonateUser } : {}),
    };
    const options = { ...withoutUndefined(tls), headers };
    if (user !== undefined) await this.#authorize(user, options);
    const { headers: all, ...rest } = options;
    return { headers: all, tls: rest };
  }

  async #authorize(user: User, options: { headers: Record<string, string> }): Promise<void> {
    const tokenFile = tokenFileOf(user);
    const { headers } = options;
    if (tokenFile !== undefined) {
      headers["Authorization"] = `Bearer ${readFileSync(tokenFile, "utf8").trim()}`;
    } else if (user.token) headers["Authorization"] = `Bearer ${user.token}`;
    else if (user.username) headers["Authorization"] = basic(user.username, user.password);
    else if (this.#helper.isAuthProvider(user)) {
      await this.#helper.applyAuthentication(user, options);
    } else if (user.authProvider?.name === "oidc") {
      // Rare, and large: only who logs in so pays for it.
      const { OpenIDConnectAuth } = await import("@kubernetes/client-node/dist/oidc_auth.js");
      await new OpenIDConnectAuth().applyAuthentication(user, options);
    }
  }
}

function fileOrData(file: string | undefined, data: string | undefined): Buffer | undefined {
  if (file) return readFileSync(file);
  return data ? Buffer.from(data, "base64") : undefined;
}

function basic(username: string, password = ""): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function withoutUndefined(fields: object): TlsOptions {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

async function loadLogin(access: KubeAccess): Promise<Login> {
  const { kubeconfig, context, endpoint } = access;
  if (kubeconfig === undefined) {
    const login = endpoint === undefined ? loginOfPod(process.env) : {};
    if (login !== undefined) return withEndpoint(login, access);
    throw new InputError("Cannot find the API server: set KUBECONFIG or K8S_API_ENDPOINT");
  }
  try {
    return withEndpoint(await loginOfFiles(kubeconfig, context), access);
  } catch (cause) {
    const why = errorMessage(cause);
    throw new InputError(`Cannot read KUBECONFIG "${kubeconfig}": ${why}`, { cause });
  }
}

/** The user of the kubeconfig, if there is one, on the server of K8S_API_ENDPOINT. */
function withEndpoint(login: Login, access: KubeAccess): Login {
  const { endpoint, caFile, certFile, keyFile, skipTlsVerify = false } = access;
  if (endpoint === undefined) return login;
  return {
    cluster: {
      name: "cluster",
      ...login.cluster,
      server: endpoint,
      skipTLSVerify: skipTlsVerify,
      ...(caFile === undefined ? {} : { caFile }),
    },
    user: {
      name: "user",
      ...login.user,
      ...(certFile === undefined ? {} : { certFile }),
      ...(keyFile === undefined ? {} : { keyFile }),
    },
  };
}
