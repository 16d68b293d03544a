import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Ran, run } from "../lab.ts";
import { unmountUnder } from "./bundles.ts";
import { writeBusyboxImage } from "./busybox-image.ts";

export interface PodmanPlace {
  /** Path of the network namespace that it runs in. */
  readonly netns: string;
  /** Absent: it builds images, and runs no containers. */
  readonly networks?: PodmanNetworks;
}

interface PodmanNetworks {
  /** Path of our plugin, and how it finds the agent. */
  readonly plugin: string;
  readonly pluginEnv: Readonly<Record<string, string>>;
  /** A network of its name for each. */
  readonly conflists: readonly { readonly name: string }[];
}

/** podman with its CNI backend, with storage, configuration and image of its own. */
export class Podman {
  readonly #place: PodmanPlace;
  readonly #folder = mkdtempSync(join(tmpdir(), "tt-pod-"));

  private constructor(place: PodmanPlace) {
    this.#place = place;
  }

  static async start(place: PodmanPlace): Promise<Podman> {
    const podman = new Podman(place);
    try {
      podman.#writeFiles();
      const image = join(podman.#folder, "image.tar");
      writeBusyboxImage(image);
      await podman.must("load", "--input", image);
      return podman;
    } catch (error) {
      await podman.remove();
      throw error;
    }
  }

  run(...args: readonly string[]): Promise<Ran> {
    return run("nsenter", [`--net=${this.#place.netns}`, "podman", ...args], { env: this.env });
  }

  /** By which any podman has this one's storage and configuration. */
  get env(): Readonly<Record<string, string>> {
    return {
      CONTAINERS_CONF: join(this.#folder, "containers.conf"),
      CONTAINERS_STORAGE_CONF: join(this.#folder, "storage.conf"),
    };
  }

  /** As `run`, but a failure throws with the program's words. */
  async must(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`podman ${args.join(" ")}: exit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  async remove(): Promise<void> {
    await this.run("rm", "--all", "--force", "--time", "0");
    unmountUnder(this.#folder);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #writeFiles(): void {
    const bin = join(this.#folder, "bin");
    const networks = join(this.#folder, "net.d");
    for (const folder of [bin, networks]) mkdirSync(folder);
    if (this.#place.networks !== undefined) writeNetworks(this.#place.networks, bin, networks);
    writeFileSync(
      join(this.#folder, "containers.conf"),
      `[network]
network_backend = "cni"
network_config_dir = "${networks}"
cni_plugin_dirs = ["${bin}"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "${this.#folder}/tmp"
[containers]
# Where the hard limits cannot be raised, runc must not try.
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
apparmor_profile = "unconfined"
`,
    );
    writeFileSync(
      join(this.#folder, "storage.conf"),
      // Not overlay: this machine's root may be one itself.
      `[storage]
driver = "vfs"
graphroot = "${this.#folder}/root"
runroot = "${this.#folder}/run"
`,
    );
  }
}

function writeNetworks(
  { plugin, pluginEnv, conflists }: PodmanNetworks,
  bin: string,
  networks: string,
): void {
  // conmon calls plugins, too, and without podman's environment.
  const settings = Object.entries(pluginEnv).map(([name, value]) => `${name}='${value}'`);
  const script = `#!/bin/sh\n${settings.join(" ")} exec '${plugin}'\n`;
  writeFileSync(join(bin, "calico"), script, { mode: 0o755 });
  for (const conflist of conflists) {
    writeFileSync(join(networks, `${conflist.name}.conflist`), JSON.stringify(conflist));
  }
}
