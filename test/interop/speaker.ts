import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { WhyView } from "../../src/bgp/control/answers.ts";
import type { PeerDetail } from "../../src/bgp/control/peer-views.ts";
import type { ControlRequest } from "../../src/bgp/control/protocol.ts";
import type { RouteRow } from "../../src/bgp/control/rib-rows.ts";
import { askControl } from "../../src/cli/control-client.ts";
import { DaemonProcess } from "../support/daemons/daemon-process.ts";

const program = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/** As in bin/tortie: there are hundreds of starts. */
const compileCache = fileURLToPath(new URL("../../build/compile-cache", import.meta.url));

/** speaker.yaml as an object: docs/bgp-config.md has the keys. */
export type SpeakerYaml = Readonly<Record<string, unknown>>;

/** `tortie bgp --config` in a namespace. */
export class TestSpeaker {
  readonly #namespace: string;
  readonly #folder: string;
  #process: DaemonProcess | undefined;

  private constructor(namespace: string, folder: string) {
    this.#namespace = namespace;
    this.#folder = folder;
  }

  /** `password` is what the file "key" holds: `password: {file: key}` names it. */
  static async start(
    namespace: string,
    config: SpeakerYaml,
    password?: string,
  ): Promise<TestSpeaker> {
    const speaker = new TestSpeaker(namespace, await mkdtemp(join(tmpdir(), "tt-speaker-")));
    await speaker.#write(config, password);
    speaker.revive();
    return speaker;
  }

  get log(): string {
    return this.#process?.output ?? "";
  }

  revive(): void {
    const words = [process.execPath, program, "bgp", "--config", this.#file];
    this.#process = new DaemonProcess(this.#namespace, words, {
      TORTIE_RUN_DIR: this.#folder,
      NODE_COMPILE_CACHE: compileCache,
    });
  }

  async reload(config: SpeakerYaml, password?: string): Promise<void> {
    await this.#write(config, password);
    this.#process?.signal("SIGHUP");
  }

  async kill(): Promise<void> {
    await this.#process?.end();
  }

  /** Ends it as a shutdown does. */
  async terminate(): Promise<void> {
    await this.#process?.end("SIGTERM");
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async ask<Row>(request: ControlRequest): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for await (const row of askControl(join(this.#folder, "bgp.sock"), request)) {
      rows.push(row as Row);
    }
    return rows;
  }

  async peer(name: string): Promise<PeerDetail> {
    const [detail] = await this.ask<PeerDetail>({ request: "peer", name });
    if (detail === undefined) throw new Error(`No answer about ${name}`);
    return detail;
  }

  /** What a peer told of a prefix. */
  received(prefix: string, from: string): Promise<readonly RouteRow[]> {
    return this.ask({ request: "rib", prefix, in: from } as ControlRequest);
  }

  async why(prefix: string): Promise<WhyView> {
    const [view] = await this.ask<WhyView>({ request: "why", prefix } as ControlRequest);
    if (view === undefined) throw new Error(`No answer about ${prefix}`);
    return view;
  }

  get #file(): string {
    return join(this.#folder, "speaker.yaml");
  }

  /** JSON is YAML. */
  async #write(config: SpeakerYaml, password: string | undefined): Promise<void> {
    await writeFile(this.#file, JSON.stringify(config, null, 2));
    if (password === undefined) return;
    const key = join(this.#folder, "key");
    await writeFile(key, password, { mode: 0o600 });
    await chmod(key, 0o600);
  }
}
