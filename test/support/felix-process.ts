import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "./wait-for.ts";

const tortie = fileURLToPath(new URL("../../bin/tortie", import.meta.url));
const longestLog = 100_000;

interface FelixSettings {
  readonly netns: string;
  /** Name of the node. */
  readonly node: string;
  readonly store: string;
  /** For its own socket and status files. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The real `tortie felix` in a network namespace, on an embedded datastore. */
export class FelixProcess {
  readonly #of: FelixSettings;
  #daemon: ChildProcess | undefined;
  #log = "";

  constructor(of: FelixSettings) {
    this.#of = of;
  }

  /** What felix logged since it started. */
  get log(): string {
    return this.#log;
  }

  /** Undefined when it does not run. */
  get pid(): number | undefined {
    return this.#daemon?.exitCode === null ? this.#daemon.pid : undefined;
  }

  /** Starts felix, and waits until it answers CNI calls: the kernel is then as it must be. */
  async start(): Promise<void> {
    const { netns, node, store, folder, env } = this.#of;
    const socket = join(folder, "cni.sock");
    rmSync(socket, { force: true });
    this.#log = "";
    this.#daemon = spawn("ip", ["netns", "exec", netns, tortie, "felix"], {
      env: {
        PATH: process.env["PATH"] ?? "",
        NODENAME: node,
        DATASTORE_TYPE: "embedded",
        TORTIE_DATASTORE_PATH: store,
        TORTIE_CNI_SOCKET: socket,
        TORTIE_CNI_SPOOL: join(folder, "cni-deletions"),
        TORTIE_RUN_DIR: folder,
        FELIX_ENDPOINTSTATUSPATHPREFIX: folder,
        FELIX_LOGSEVERITYSCREEN: "Debug",
        FELIX_HEALTHENABLED: "true",
        ...env,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#daemon.stderr?.on("data", (piece: Buffer) => {
      this.#log = (this.#log + piece.toString()).slice(-longestLog);
    });
    await waitFor(() => existsSync(socket), { timeoutMs: 300_000, what: "felix" }).catch(
      (cause) => {
        throw new Error(`felix did not start:\n${this.#log}`, { cause });
      },
    );
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon.once("exit", resolve));
    daemon.kill(signal);
    await ended;
  }
}
