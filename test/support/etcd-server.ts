import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild } from "./end-child.ts";
import { waitFor } from "./wait-for.ts";

/** What etcd takes in one transaction. */
const maxOperations = 128;

/** Paths of PEM files. */
export interface TlsPaths {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface EtcdOptions {
  /** Also serves `tlsEndpoint`, to those who show a certificate. */
  readonly tls?: TlsPaths;
  /** Debian's `etcd` unless given. */
  readonly program?: string;
}

/** A real etcd on loopback and on a unix socket, in a temporary folder. */
export class EtcdServer {
  readonly #folder = mkdtempSync(join(tmpdir(), "tortie-etcd-"));
  readonly #ports: readonly [client: number, peer: number, tls: number];
  readonly #tls: TlsPaths | undefined;
  readonly #program: string;
  #child: ChildProcess | undefined;

  private constructor(
    ports: readonly [number, number, number],
    { tls, program = "etcd" }: EtcdOptions,
  ) {
    this.#ports = ports;
    this.#tls = tls;
    this.#program = program;
  }

  static async start(options: EtcdOptions = {}): Promise<EtcdServer> {
    const ports = [await freePort(), await freePort(), await freePort()] as const;
    const server = new EtcdServer(ports, options);
    await server.start();
    return server;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#ports[0]}`;
  }

  get tlsEndpoint(): string {
    return `https://127.0.0.1:${this.#ports[2]}`;
  }

  get socketEndpoint(): string {
    return `unix://${join(this.#folder, "etcd.sock:0")}`;
  }

  async start(): Promise<void> {
    const peer = `http://127.0.0.1:${this.#ports[1]}`;
    // A killed etcd leaves its socket, and the next cannot bind it.
    rmSync(join(this.#folder, "etcd.sock:0"), { force: true });
    const child = spawn(
      this.#program,
      [
        "--name=test",
        "--data-dir=data",
        `--listen-client-urls=${this.#clientUrls.join(",")}`,
        `--advertise-client-urls=${this.endpoint}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=test=${peer}`,
        "--unsafe-no-fsync=true",
        ...this.#tlsFlags,
      ],
      { cwd: this.#folder, stdio: "ignore" },
    );
    this.#child = child;
    const failed = new Promise<never>((_resolve, reject) => {
      child.on("error", (cause) =>
        reject(new Error(`Cannot run ${this.#program}: is it installed?`, { cause })),
      );
    });
    const healthy = waitFor(async () => (await fetch(`${this.endpoint}/health`)).ok, {
      timeoutMs: 20_000,
      what: "etcd",
    });
    await Promise.race([healthy, failed]);
  }

  get #clientUrls(): readonly string[] {
    const plain = [this.endpoint, "unix://etcd.sock:0"];
    return this.#tls === undefined ? plain : [...plain, this.tlsEndpoint];
  }

  get #tlsFlags(): readonly string[] {
    if (this.#tls === undefined) return [];
    const { ca, certificate, key } = this.#tls;
    return [
      `--trusted-ca-file=${ca}`,
      `--cert-file=${certificate}`,
      `--key-file=${key}`,
      "--client-cert-auth=true",
    ];
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined) await endChild(child, signal);
  }

  /** Stopped, not ended: it takes connections and answers nothing. */
  freeze(): void {
    this.#child?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Forgets all changes before the present revision. */
  async compact(revision: string): Promise<void> {
    await this.ask("/v3/kv/compaction", { revision, physical: true });
  }

  /** Deletes past whoever else uses this etcd, in one revision. */
  async deletePrefix(prefix: string): Promise<void> {
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
    await this.ask("/v3/kv/deleterange", { key: base64(prefix), range_end: base64(end) });
  }

  /** Writes values past whoever else uses this etcd. Those that share a revision are many times as fast. */
  async put(
    values: ReadonlyMap<string, string>,
    revisions: "one each" | "shared" = "shared",
  ): Promise<void> {
    const puts = [...values].map(([key, value]) => ({
      requestPut: { key: base64(key), value: base64(value) },
    }));
    const size = revisions === "shared" ? maxOperations : 1;
    for (let start = 0; start < puts.length; start += size) {
      await this.ask("/v3/kv/txn", { success: puts.slice(start, start + size) });
    }
  }

  /** A request to etcd's HTTP gateway. */
  async ask(path: string, body: object): Promise<void> {
    const request = { method: "POST", body: JSON.stringify(body) };
    const answer = await fetch(`${this.endpoint}${path}`, request);
    if (!answer.ok) throw new Error(`etcd ${path}: ${await answer.text()}`);
  }

  async remove(): Promise<void> {
    this.thaw();
    await this.stop("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** A port that was free just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
      .on("error", reject)
      .listen(0, "127.0.0.1", () => {
        const address = server.address();
        const port = typeof address === "object" && address !== null ? address.port : 0;
        server.close(() => resolve(port));
      });
  });
}
