import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { endChild } from "./end-child.ts";
import { EtcdServer, freePort } from "./etcd-server.ts";
import { waitFor } from "./wait-for.ts";

const crdFolder = fileURLToPath(new URL("../../deploy/crds/", import.meta.url));
/** A real kube-apiserver on loopback, with an etcd of its own and Calico's CRDs. */
export class KubeApiServer {
  readonly #program: string;
  readonly #flags: readonly string[];
  readonly #etcd: EtcdServer;
  readonly #port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-kube-"));
  readonly #tokens = {
    admin: randomBytes(16).toString("hex"),
    nobody: randomBytes(16).toString("hex"),
  };
  #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  #child: ChildProcess | undefined;

  private constructor({ program, flags, etcd, port }: Parts) {
    this.#program = program;
    this.#flags = flags;
    this.#etcd = etcd;
    this.#port = port;
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const key = privateKey.export({ type: "pkcs8", format: "pem" });
    writeFileSync(join(this.#folder, "accounts.key"), key, { mode: 0o600 });
    const { admin, nobody } = this.#tokens;
    const tokens = `${admin},admin,1,"system:masters"\n${nobody},nobody,2\n`;
    writeFileSync(join(this.#folder, "tokens.csv"), tokens, { mode: 0o600 });
  }

  static async start(program: string, options: ServerOptions = {}): Promise<KubeApiServer> {
    const { flags = [], etcd: store } = options;
    const etcd = await EtcdServer.start(store === undefined ? {} : { program: store });
    const server = new KubeApiServer({ program, flags, etcd, port: await freePort() });
    try {
      await server.start();
      return server;
    } catch (error) {
      await server.remove();
      throw error;
    }
  }

  get etcd(): EtcdServer {
    return this.#etcd;
  }

  get endpoint(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  /** Path of a kubeconfig for one who may all, or for one who may nothing. */
  kubeconfig(user: "admin" | "nobody" = "admin"): string {
    return this.#writeKubeconfig(user, this.#tokens[user]);
  }

  /** Path of a kubeconfig for a service account, with a token that the server gives. */
  async accountKubeconfig(namespace: string, account: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
    const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
    const answer = (await this.must("POST", path, request)) as {
      readonly status: { readonly token: string };
    };
    return this.#writeKubeconfig(account, answer.status.token);
  }

  #writeKubeconfig(user: string, token: string): string {
    const path = join(this.#folder, `${user}.kubeconfig`);
    const config = {
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: "test",
          cluster: {
            server: this.endpoint,
            "certificate-authority": join(this.#folder, "apiserver.crt"),
          },
        },
      ],
      users: [{ name: user, user: { token } }],
      contexts: [{ name: "test", context: { cluster: "test", user } }],
      "current-context": "test",
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  async start(): Promise<void> {
    const child = spawn(
      this.#program,
      [
        `--etcd-servers=${this.#etcd.endpoint}`,
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        `--secure-port=${this.#port}`,
        `--cert-dir=${this.#folder}`,
        `--token-auth-file=${join(this.#folder, "tokens.csv")}`,
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://test.invalid",
        `--service-account-key-file=${join(this.#folder, "accounts.key")}`,
        `--service-account-signing-key-file=${join(this.#folder, "accounts.key")}`,
        // Nobody makes service accounts here, and pods need one.
        "--disable-admission-plugins=ServiceAccount",
        "--shutdown-delay-duration=0s",
        ...this.#flags,
      ],
      {
        cwd: this.#folder,
        stdio: ["ignore", "ignore", "pipe"],
        // A start costs a fifth less CPU, for some memory.
        env: { ...process.env, GOGC: "400" },
      },
    );
    this.#child = child;
    child.stderr?.pipe(createWriteStream(join(this.#folder, "log"), { flags: "a" }));
    const failed = new Promise<never>((_resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code) =>
        reject(new Error(`kube-apiserver ended with ${code}:\n${this.log()}`)),
      );
    });
    failed.catch(() => undefined);
    const healthy = waitFor(async () => (await this.request("GET", "/readyz")).status === 200, {
      timeoutMs: 120_000,
      intervalMs: 100,
      what: "kube-apiserver",
    });
    await Promise.race([healthy, failed]);
  }

  /** What it wrote last. */
  log(): string {
    return readFileSync(join(this.#folder, "log"), "utf8").slice(-4000);
  }

  async stop(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#agent.destroy();
    this.#agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
    if (child !== undefined) await endChild(child, signal);
  }

  /** Stopped, not ended: it takes connections and answers nothing. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  async remove(): Promise<void> {
    this.thaw();
    await this.stop();
    await this.#etcd.remove();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Applies deploy/crds of a group and waits until each is served. */
  async installCrds(group: "crd.projectcalico.org" | "projectcalico.org"): Promise<void> {
    const text = readFileSync(join(crdFolder, `${group}.yaml`), "utf8");
    const { parseAllDocuments } = await import("yaml");
    const crds = parseAllDocuments(text).map((document) => document.toJS() as Crd);
    for (const crd of crds) {
      await this.must("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd);
    }
    for (const { spec } of crds) {
      const path = `/apis/${group}/${spec.versions[0]?.name}/${spec.names.plural}`;
      await waitFor(async () => (await this.request("GET", path)).status === 200, {
        timeoutMs: 60_000,
        what: path,
      });
    }
  }

  /** Calico's objects and nodes are gone, from its own store. Nobody may watch meanwhile. */
  async forgetObjects(): Promise<void> {
    for (const kept of ["crd.projectcalico.org", "projectcalico.org", "minions"]) {
      await this.#etcd.deletePrefix(`/registry/${kept}/`);
    }
  }

  async createNamespaces(...names: readonly string[]): Promise<void> {
    for (const name of names) {
      const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
      await this.must("POST", "/api/v1/namespaces", namespace);
    }
  }

  /** A request as the one who may all. @throws unless it succeeds. */
  async must(method: string, path: string, body?: object, type?: string): Promise<unknown> {
    const { status, text } = await this.request(method, path, body, type);
    if (status < 300) return JSON.parse(text);
    throw new Error(`${method} ${path}: ${status} ${text}`);
  }

  async request(
    method: string,
    path: string,
    body?: object,
    type = "application/json",
  ): Promise<{ readonly status: number; readonly text: string }> {
    const content = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      Authorization: `Bearer ${this.#tokens.admin}`,
      "Content-Type": type,
      // Node leaves it out for DELETE.
      "Content-Length": Buffer.byteLength(content ?? ""),
    };
    const options = { method, headers, agent: this.#agent, rejectUnauthorized: false };
    return await new Promise((resolve, reject) => {
      request(`${this.endpoint}${path}`, options, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      })
        .on("error", reject)
        .end(content);
    });
  }
}

export interface ServerOptions {
  /** More than it is always given. */
  readonly flags?: readonly string[];
  /** Path of its etcd: Debian's unless given. */
  readonly etcd?: string;
}

/** With these, lists can be watches; without, the server has none. */
export const withWatchList: readonly string[] = ["--feature-gates=WatchList=true"];

interface Parts {
  readonly program: string;
  readonly flags: readonly string[];
  readonly etcd: EtcdServer;
  readonly port: number;
}

interface Crd {
  readonly spec: {
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
}
