import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { labPaths } from "../../src/lab/lab-state.ts";
import { labUp } from "../integration/lab-churn.ts";
import { cniPlugins } from "../support/cni.ts";
import { type Ran, run, TestLab } from "../support/lab.ts";
import { findLibcni } from "../support/libcni/program.ts";
import { TestNetns } from "../support/netns.ts";
import { debianPlugins, pluginEnvironment } from "../support/runtimes/lab-containerd.ts";

/** libcni itself, the library of containerd, CRI-O and podman: what its own checks of us say. */

const found = findLibcni();
const program = "path" in found ? found.path : "";
const skip = "missing" in found ? found.missing : false;

describe("libcni", { skip }, () => {
  const lab = new TestLab("l");
  const paths = labPaths(lab.name, { TORTIE_LAB_DIR: lab.folder });
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tt-libcni-"));
    await labUp(lab, "--pods", "1");
  });
  after(async () => {
    await lab.down();
    await rm(folder, { recursive: true });
  });

  /** A conflist of our plugin and what follows it. */
  async function conflist(cniVersion: string, ...chained: readonly object[]): Promise<string> {
    const file = join(folder, `${cniVersion}-${chained.length}.conflist`);
    const calico = { type: "calico", ipam: { type: "calico-ipam" } };
    const plugins = [calico, ...chained];
    await writeFile(file, JSON.stringify({ name: "own-network", cniVersion, plugins }));
    return file;
  }

  interface Container {
    readonly id: string;
    readonly pod: string;
    readonly netns: string;
  }

  function libcni(verb: string, list: string, container: Container, env = {}): Promise<Ran> {
    const { id, pod, netns } = container;
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`;
    return run(
      "nsenter",
      [`--net=/run/netns/${lab.name}-node1`, program, verb, list, id, netns, "eth0", args],
      {
        env: {
          CNI_PATH: `${dirname(cniPlugins.shim)}:${debianPlugins}`,
          CNI_CACHE: join(folder, "cache"),
          ...pluginEnvironment(paths, "node1"),
          ...env,
        },
      },
    );
  }

  async function must(verb: string, list: string, container: Container): Promise<string> {
    const { code, stdout, stderr } = await libcni(verb, list, container);
    assert.equal(code, 0, `${verb}: ${stdout}${stderr}`);
    return stdout;
  }

  async function assertNothingLeft(): Promise<void> {
    const check = await lab.cli(["ipam", "check"]);
    assert.equal(check.code, 0, check.stdout);
    const links = await lab.inside(`${lab.name}-node1`, "ip", "-o", "link", "show");
    assert.equal(links.match(/: cali[0-9a-f]{11}/g)?.length, 1, links);
  }

  for (const version of ["0.3.1", "0.4.0", "1.0.0", "1.1.0"]) {
    it(`ADD, CHECK and DEL at ${version}`, async () => {
      using pod = new TestNetns("pod");
      const container = { id: `at-${version}`, pod: "first", netns: pod.path };
      const list = await conflist(version);
      await must("validate", list, container);
      const result = JSON.parse(await must("add", list, container)) as {
        cniVersion: string;
        ips: { address: string }[];
      };
      assert.equal(result.cniVersion, version);
      assert.match(
        pod.ip("-o address show dev eth0"),
        new RegExp(`inet ${result.ips[0]?.address} `),
      );
      // 0.3.1 has no CHECK, and libcni refuses.
      if (version !== "0.3.1") await must("check", list, container);
      await must("del", list, container);
      await must("del", list, container);
      await assertNothingLeft();
    });
  }

  it("CHECK tells of an address and of a route that are gone", async () => {
    using pod = new TestNetns("pod");
    const container = { id: "checked", pod: "checked", netns: pod.path };
    const list = await conflist("1.0.0");
    const result = JSON.parse(await must("add", list, container)) as {
      ips: { address: string }[];
      interfaces: { name: string }[];
    };
    const address = result.ips[0]?.address ?? assert.fail("no address");
    const tells = async (words: RegExp) => {
      const { code, stderr } = await libcni("check", list, container);
      assert.equal(code, 1);
      assert.match(stderr, words);
    };
    pod.ip(`address del ${address} dev eth0`);
    await tells(new RegExp(`lacks the address ${address}`));
    pod.ip(`address add ${address} dev eth0`);
    await must("check", list, container);
    pod.ip("link set eth0 down");
    await tells(/eth0 is missing or down/);
    await must("del", list, container);
    await assertNothingLeft();
  });

  it("plugins after ours get our result, and their CHECK and DEL succeed", async () => {
    using pod = new TestNetns("pod");
    const container = { id: "chained", pod: "chained", netns: pod.path };
    const tuning = { type: "tuning", sysctl: { "net.core.somaxconn": "500" } };
    const bandwidth = { type: "bandwidth", ingressRate: 8_000_000, ingressBurst: 8_000_000 };
    const list = await conflist("1.0.0", tuning, bandwidth);
    await must("add", list, container);
    assert.equal(pod.run("cat", ["/proc/sys/net/core/somaxconn"]).trim(), "500");
    await must("check", list, container);
    await must("del", list, container);
    await assertNothingLeft();
  });

  it("STATUS says whether the agent is there; GC removes what the runtime does not know", async () => {
    using kept = new TestNetns("kept");
    using lost = new TestNetns("lost");
    const list = await conflist("1.1.0");
    const valid = { id: "gc-kept", pod: "kept", netns: kept.path };
    const leaked = { id: "gc-lost", pod: "lost", netns: lost.path };
    await must("status", list, valid);
    for (const container of [valid, leaked]) await must("add", list, container);
    // The runtime forgets one, as after a crash.
    await must("gc", list, valid);
    assert.doesNotMatch(lost.ip("-o link show"), /eth0/);
    await must("check", list, valid);
    await must("del", list, valid);
    await assertNothingLeft();

    const away = { TORTIE_CNI_SOCKET: join(folder, "nobody") };
    const { code, stderr } = await libcni("status", list, valid, away);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot reach the tortie agent/);
  });

  it("an error of ours reaches the caller with its code and words", async () => {
    const container = { id: "lost", pod: "lost", netns: "/run/netns/no-such-namespace" };
    const { code, stdout, stderr } = await libcni("add", await conflist("1.0.0"), container);
    assert.equal(code, 1);
    assert.match(stdout + stderr, /Cannot open the network namespace CNI_NETNS.*No such file/s);
    await assertNothingLeft();
  });
});
