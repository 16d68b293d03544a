import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type ClusterNode, ManifestCluster } from "../support/deploy/cluster.ts";
import { readManifest } from "../support/deploy/manifest.ts";
import { buildImage } from "../support/image/build-image.ts";
import { type ContainerHost, ManifestContainer } from "../support/image/manifest-container.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { Containerd } from "../support/runtimes/containerd.ts";
import type { CriPod } from "../support/runtimes/cri.ts";
import { Podman } from "../support/runtimes/podman.ts";
import { waitFor } from "../support/wait-for.ts";

/*
 * The image, built as docs/operations.md says and run by containerd on a node: each container with the
 * command, the mounts, the user and the rights of its manifest, against a real API server.
 */

const found = findKubeApiServer();
const skip = "missing" in found ? found.missing : false;
const image = "localhost/tortie:0.1.0";
const patience = { timeoutMs: 300_000, intervalMs: 500 };
const stock = ["calico", "calico-ipam", "calico-node", "check-status", "kube-controllers"];

interface Sbom {
  readonly components: readonly { readonly name: string; readonly purl: string }[];
}

describe("the image", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "tortie-image-"));
  let podman: Podman;
  let cluster: ManifestCluster;
  let node: ClusterNode;
  let containerd: Containerd;
  let host: ContainerHost;
  /** The image's files, as they lie in podman's storage. */
  let root: string;

  before(async () => {
    podman = await Podman.start({ netns: "/proc/self/ns/net" });
    await buildImage(podman, image);
    root = (await podman.must("image", "mount", image)).trim();
    const archive = join(folder, "tortie.tar");
    await podman.must("save", image, "-o", archive);
    cluster = await ManifestCluster.start(
      "path" in found ? found.path : "",
      ["tortie.yaml", "route-reflector.yaml"].flatMap(readManifest),
    );
    node = await cluster.addNode("node1");
    containerd = await Containerd.start({ netns: node.netns.path, pluginFolders: [], env: {} });
    containerd.importImage(archive);
    rmSync(archive);
    const { server, objects } = cluster;
    const fields = {
      "metadata.name": "route-reflector-0",
      "spec.nodeName": node.name,
      "status.hostIPs": node.address,
    };
    waiting = await containerd.cri.runPod({
      name: "waiting",
      hostNetwork: true,
      command: ["sleep", "infinity"],
      container: {
        image: { image },
        linux: { security_context: { run_as_user: { value: 65532 } } },
      },
    });
    host = { containerd, server, objects, folder: join(folder, "host"), fields };
  });
  after(async () => {
    await containerd?.remove();
    await cluster?.remove();
    await podman?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A container that waits, as a user who is not root. */
  let waiting: CriPod;
  const inImage = (...words: readonly string[]) => containerd.cri.exec(waiting, ...words);

  it("has neither a toolchain, tests nor what only developers need", async (t) => {
    const [row] = JSON.parse(await podman.must("image", "inspect", image)) as { Size: number }[];
    t.diagnostic(`${process.arch}: ${Math.round((row?.Size ?? 0) / 1e6)} MB`);
    assert.deepEqual(readdirSync(join(root, "opt/tortie")).sort(), [
      ...["bin", "build", "node_modules", "package-lock.json", "package.json", "sbom.cdx.json"],
      ...["src", "tools"],
    ]);
    for (const program of ["gcc", "cc", "ld", "npm", "tsc"]) {
      const { code, output } = await inImage("sh", "-c", `command -v ${program} || exit 44`);
      assert.deepEqual({ code, output }, { code: 44, output: "" }, program);
    }
    const { devDependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
      readonly devDependencies: Readonly<Record<string, string>>;
    };
    const locked = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
      readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
    };
    for (const name of Object.keys(devDependencies)) {
      // What a dependency of ours needs as well stays.
      if (locked.packages[`node_modules/${name}`]?.dev !== true) continue;
      assert.ok(!existsSync(join(root, "opt/tortie/node_modules", name)), name);
    }
  });

  it("tells what it is made of: each package of npm and of Debian", () => {
    const text = readFileSync(join(root, "opt/tortie/sbom.cdx.json"), "utf8");
    const purls = (JSON.parse(text) as Sbom).components.map(({ purl }) => purl);
    const npm = purls.filter((purl) => purl.startsWith("pkg:npm/")).sort();
    assert.deepEqual(npm, npmPackages(join(root, "opt/tortie/node_modules")).sort());
    const status = readFileSync(join(root, "var/lib/dpkg/status"), "utf8");
    const debian = [...status.matchAll(/^Package: (.+)$/gm)].map(([, name]) => name);
    for (const name of debian) {
      assert.ok(
        purls.some((purl) => purl.startsWith(`pkg:deb/debian/${name}@`)),
        name,
      );
    }
  });

  it("answers under its own name and those of Calico's manifests, as any user", async () => {
    const version = /^tortie 0\.1\.0\n$/;
    const answers: readonly (readonly [words: string, answer: RegExp])[] = [
      ["tortie version", version],
      ["/bin/calico-node -v", version],
      ["tortie node --help", /^Usage: tortie node/],
      ["calicoctl version", /0\.1\.0/],
      ["/usr/bin/calico-ipam -upgrade", /no addresses/],
      ["/usr/bin/calico component node init", /no eBPF/],
      ["/usr/bin/check-status -r", /Cannot read/],
    ];
    for (const [words, answer] of answers) {
      assert.match((await inImage(...words.split(" "))).output, answer, words);
    }
    const programs = new Set(readdirSync(join(root, "usr/bin")));
    assert.ok(new Set([...stock, "start_runit"]).isSubsetOf(programs));
    for (const [program, option] of [
      ["iptables", "--version"],
      ["ipset", "help"],
      ["ip", "-V"],
      ["modprobe", "--version"],
    ] as const) {
      assert.equal((await inImage(`/usr/sbin/${program}`, option)).code, 0, program);
    }
  });

  it("install-cni puts plugins that run, and their configuration, on the host", async () => {
    const container = new ManifestContainer(host, "calico-node", "install-cni");
    const { code, output } = await container.toEnd();
    assert.equal(code, 0, output);
    const bin = join(host.folder, "opt/cni/bin");
    assert.deepEqual(readdirSync(bin).sort(), [
      ...["bandwidth", "calico", "calico-ipam", "host-local", "loopback", "portmap", "tuning"],
    ]);
    const answer = execFileSync(join(bin, "calico"), {
      env: { CNI_COMMAND: "VERSION" },
      // It ends without reading: what is written to it may find nobody.
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
    });
    assert.match(answer, /"supportedVersions":\[.*"1\.1\.0"/);
    const conflist = readFileSync(join(host.folder, "etc/cni/net.d/10-calico.conflist"), "utf8");
    assert.match(conflist, /"nodename": "node1"/);
  });

  it("calico-node, its controllers and a reflector become ready beside each other", async () => {
    const agent = new ManifestContainer(host, "calico-node");
    const controllers = new ManifestContainer(host, "calico-kube-controllers");
    const reflector = new ManifestContainer(host, "route-reflector");
    const all = [agent, controllers, reflector];
    try {
      for (const each of all) await each.start();
      const ready = async () =>
        (await cluster.probe("calico-node", node, "readinessProbe")) &&
        (await cluster.probe("route-reflector", node, "readinessProbe")) &&
        (await controllers.exec("tortie", "controllers", "status", "--ready")).code === 0;
      await waitFor(ready, { ...patience, what: "all three" });
      for (const each of [controllers, reflector]) {
        const { output } = await each.exec("cat", "/proc/1/status");
        for (const line of [/^Uid:\t65532\t65532\t/m, /^CapBnd:\t0{16}$/m, /^NoNewPrivs:\t1$/m]) {
          assert.match(output, line, each.name);
        }
      }
      assert.equal((await agent.exec("calico-node", "-felix-live", "-bird-live")).code, 0);
    } catch (error) {
      const logs = all.map((each) => `${each.name}:\n${each.log().slice(-3000)}`);
      throw new Error(logs.join("\n"), { cause: error });
    } finally {
      for (const each of all) await each.end();
    }
  });
});

/** Package URLs of what lies in a node_modules, and in those of its packages. */
function npmPackages(folder: string): string[] {
  const names = readdirSync(folder).flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(folder, name)).map((each) => `${name}/${each}`) : name,
  );
  return names.flatMap((name) => {
    const file = join(folder, name, "package.json");
    if (name.startsWith(".") || !existsSync(file)) return [];
    const { version } = JSON.parse(readFileSync(file, "utf8")) as { readonly version: string };
    const nested = join(folder, name, "node_modules");
    return [
      `pkg:npm/${name.replace("@", "%40")}@${version}`,
      ...(existsSync(nested) ? npmPackages(nested) : []),
    ];
  });
}
