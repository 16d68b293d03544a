import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild } from "../end-child.ts";
import { waitFor } from "../wait-for.ts";
import { endBundles } from "./bundles.ts";
import { writeBusyboxImage } from "./busybox-image.ts";
import { Cri } from "./cri.ts";

/** Not overlayfs: a machine's root may be an overlay itself. */
const snapshotter = "native";

export interface ContainerdPlace {
  /** Path of the network namespace that it runs in, and that pods are plugged into. */
  readonly netns: string;
  /** Folders of plugins, in order of preference. */
  readonly pluginFolders: readonly string[];
  /** For plugins, too: they get containerd's environment. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * A real containerd in a node's network namespace, with folders, socket and image of its own: several
 * run side by side. Pods outlive its kill, as they do everywhere; `remove` ends them.
 */
export class Containerd {
  readonly cri: Cri;
  readonly #place: ContainerdPlace;
  readonly #folder = mkdtempSync(join(tmpdir(), "tt-ctd-"));
  #child: ChildProcess | undefined;

  private constructor(place: ContainerdPlace) {
    this.#place = place;
    this.cri = new Cri(this.socket, join(this.#folder, "pods"));
  }

  static async start(place: ContainerdPlace): Promise<Containerd> {
    const containerd = new Containerd(place);
    try {
      mkdirSync(containerd.conflistFolder);
      writeFileSync(containerd.#configFile, containerd.#config());
      await containerd.start();
      const file = join(containerd.#folder, "image.tar");
      writeBusyboxImage(file);
      containerd.importImage(file);
      rmSync(file);
      return containerd;
    } catch (error) {
      const log = containerd.log();
      await containerd.remove();
      throw new Error(`Cannot start containerd:\n${log}`, { cause: error });
    }
  }

  get socket(): string {
    return join(this.#folder, "containerd.sock");
  }

  /** Where conflists are read from, as /etc/cni/net.d elsewhere. */
  get conflistFolder(): string {
    return join(this.#folder, "net.d");
  }

  /** What it wrote last. */
  log(): string {
    const file = join(this.#folder, "log");
    return existsSync(file) ? readFileSync(file, "utf8").slice(-4000) : "";
  }

  async start(): Promise<void> {
    const log = openSync(join(this.#folder, "log"), "a");
    // Not `ip netns exec`: it hides the cgroups.
    const command = [`--net=${this.#place.netns}`, "containerd", "-c", this.#configFile];
    this.#child = spawn("nsenter", command, {
      stdio: ["ignore", log, log],
      env: { ...process.env, ...this.#place.env },
    });
    closeSync(log);
    const failed = new Promise<never>((_resolve, reject) => {
      this.#child?.on("error", reject);
    });
    const ready = waitFor(() => this.cri.networkReady().then(() => true), {
      timeoutMs: 60_000,
      what: "containerd's CRI",
      intervalMs: 50,
    });
    await Promise.race([ready, failed]);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined) await endChild(child, "SIGKILL");
  }

  /** `ctr` on this containerd. */
  ctr(...args: readonly string[]): readonly string[] {
    return ["ctr", "--address", this.socket, "--namespace", "k8s.io", ...args];
  }

  /** Takes over an image, a tar file of OCI or of `docker save`. */
  importImage(file: string): void {
    const [program = "", ...args] = this.ctr(
      "images",
      "import",
      "--snapshotter",
      snapshotter,
      file,
    );
    execFileSync(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  }

  /** Ends containerd and whatever pods it left, and removes its files. */
  async remove(): Promise<void> {
    this.cri.close();
    await this.kill();
    await endBundles(join(this.#folder, "state"), this.socket);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #configFile(): string {
    return join(this.#folder, "config.toml");
  }

  #config(): string {
    const plugins = 'plugins."io.containerd.grpc.v1.cri"';
    return `version = 2
root = "${this.#folder}/root"
state = "${this.#folder}/state"
[grpc]
  address = "${this.socket}"
[${plugins}]
  sandbox_image = "localhost/busybox:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  # Not in /run/netns: what a killed containerd leaves there is nobody's.
  netns_mounts_under_state_dir = true
  [${plugins}.containerd]
    snapshotter = "${snapshotter}"
  [${plugins}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [${plugins}.containerd.runtimes.runc.options]
    SystemdCgroup = false
  [${plugins}.cni]
    bin_dir = "${this.#binFolder()}"
    conf_dir = "${this.conflistFolder}"
    max_conf_num = 1
`;
  }

  /** containerd 1.6 knows one folder of plugins only: it gets one with links to all. */
  #binFolder(): string {
    const folder = join(this.#folder, "bin");
    mkdirSync(folder, { recursive: true });
    for (const from of this.#place.pluginFolders.toReversed()) {
      execFileSync("cp", ["--symbolic-link", "--force", "--recursive", `${from}/.`, folder]);
    }
    return folder;
  }
}
