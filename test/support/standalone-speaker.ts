import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { PeerRow } from "../../src/bgp/control/peer-views.ts";

const run = promisify(execFile);
const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** A `tortie bgp --config` on this host's loopback, with a folder of its own. */
export class StandaloneSpeaker {
  readonly folder: string;
  readonly #child: ChildProcess;
  log = "";

  constructor(yaml: string, options: readonly string[] = []) {
    this.folder = mkdtempSync(join(tmpdir(), "tt-speaker-"));
    const file = join(this.folder, "speaker.yaml");
    writeFileSync(file, yaml);
    const words = [program, "bgp", "--config", file, ...options];
    this.#child = spawn(process.execPath, words, {
      cwd: this.folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: this.#env,
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.log += chunk;
    });
  }

  /** What the command prints, as the user sees it. */
  async ask(...words: readonly string[]): Promise<string> {
    const options = { env: this.#env, cwd: this.folder };
    const { stdout } = await run(process.execPath, [program, "bgp", ...words], options);
    return stdout;
  }

  async rows<Row>(...words: readonly string[]): Promise<readonly Row[]> {
    const text = await this.ask(...words, "-o", "json");
    return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Row]));
  }

  async states(): Promise<readonly string[]> {
    return (await this.rows<PeerRow>("peers")).map(({ state }) => state);
  }

  reload(yaml: string): void {
    writeFileSync(join(this.folder, "speaker.yaml"), yaml);
    this.#child.kill("SIGHUP");
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = new Promise((resolve) => this.#child.once("exit", resolve));
      this.#child.kill("SIGTERM");
      await exit;
    }
  }

  /** After stop(). */
  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  get #env() {
    return { PATH: process.env["PATH"], TORTIE_RUN_DIR: join(this.folder, "run") };
  }
}

/** A port of 127.0.0.1 that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}
