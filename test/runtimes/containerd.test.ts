import assert from "node:assert/strict";
import {
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { nodeProcesses } from "../../src/lab/daemons.ts";
import { labPaths } from "../../src/lab/lab-state.ts";
import { collectSoon, labUp, untilNothingIsWrong } from "../integration/lab-churn.ts";
import { cniPlugins } from "../support/cni.ts";
import { run, TestLab } from "../support/lab.ts";
import type { Containerd } from "../support/runtimes/containerd.ts";
import type { CriPod, PodRequest } from "../support/runtimes/cri.ts";
import { pluginEnvironment, startContainerd } from "../support/runtimes/lab-containerd.ts";
import { waitFor } from "../support/wait-for.ts";

/*
 * Two nodes of a lab, each with a containerd of its own, whose pods the real shim plugs into the real
 * agent: what kubelet would see, through the runtime's CRI socket.
 */

describe("containerd", () => {
  const lab = new TestLab("d");
  const paths = labPaths(lab.name, { TORTIE_LAB_DIR: lab.folder });
  const runtimes = new Map<string, Containerd>();

  before(async () => {
    // The pods of the lab itself are there so that the namespace "default" is.
    await labUp(lab, "--pods", "1");
    await collectSoon(lab);
    for (const node of ["node1", "node2"]) runtimes.set(node, await startContainerd(lab, node));
  });
  after(async () => {
    for (const containerd of runtimes.values()) await containerd.remove();
    await lab.down();
  });

  const on = (node: string) => runtimes.get(node) ?? assert.fail(`no containerd on ${node}`);
  const felixOf = (node: string) =>
    nodeProcesses(paths.runFolder(node)).felix?.pid ?? assert.fail(`no felix on ${node}`);

  /** As kubelet does: what fails is removed and tried again. */
  async function runUntilItRuns(node: string, request: PodRequest): Promise<CriPod> {
    return await waitFor(() => on(node).cri.runPod(request), {
      timeoutMs: 120_000,
      intervalMs: 500,
      what: `pod ${request.name}`,
    });
  }

  async function removeAll(node: string): Promise<void> {
    const { cri } = on(node);
    await Promise.all((await cri.sandboxes()).map(({ id }) => cri.removeSandbox(id)));
  }

  /** A deletion that no agent was there for is done when there is one again. */
  async function untilNothingIsLeft(): Promise<void> {
    const endpoints = async () => {
      const { stdout } = await lab.cli(["get", "workloadendpoints", "-A", "-o", "json"]);
      const { items } = JSON.parse(stdout) as { items: { spec: { pod?: string } }[] };
      return items.map(({ spec }) => spec.pod).sort();
    };
    const left = async () => ({
      endpoints: await endpoints(),
      veths: await Promise.all([...runtimes.keys()].map(veths)),
    });
    // Those of the lab itself.
    const own = { endpoints: ["pod1", "pod1"], veths: [1, 1] };
    await waitFor(async () => isDeepStrictEqual(await left(), own), {
      timeoutMs: 60_000,
      intervalMs: 200,
      what: "an end of all endpoints and interfaces",
    });
    await untilNothingIsWrong(lab, "an end of all leaks");
  }

  it("has a network only while there is a conflist", async () => {
    const { cri, conflistFolder } = on("node1");
    const conflist = join(conflistFolder, "10-calico.conflist");
    const text = readFileSync(conflist, "utf8");
    await waitFor(async () => (await cri.networkReady()).ready, { what: "NetworkReady" });
    rmSync(conflist);
    await waitFor(async () => !(await cri.networkReady()).ready, { what: "its end" });
    writeFileSync(conflist, text);
    await waitFor(async () => (await cri.networkReady()).ready, { what: "NetworkReady again" });
  });

  it("20 pods at once reach each other across nodes, and leave nothing", async () => {
    const wanted = Array.from({ length: 20 }, (_, index) => ({
      node: index % 2 === 0 ? "node1" : "node2",
      name: `many${index}`,
    }));
    const pods = await Promise.all(
      wanted.map(async ({ node, name }) => ({ node, pod: await on(node).cri.runPod({ name }) })),
    );
    assert.equal(new Set(pods.flatMap(({ pod }) => pod.addresses)).size, 20);
    await Promise.all(
      pods.map(async ({ node, pod }, index) => {
        const [address = ""] = pods[(index + 1) % pods.length]?.pod.addresses ?? [];
        const ping = await on(node).cri.exec(pod, "ping", "-c", "1", "-W", "10", address);
        assert.equal(ping.code, 0, `${pod.name} to ${address}: ${ping.output}`);
      }),
    );
    await Promise.all(["node1", "node2"].map(removeAll));
    await untilNothingIsLeft();
  });

  it("DEL comes twice, and once without a namespace: the address is free after the first", async () => {
    const { cri } = on("node1");
    const pod = await cri.runPod({ name: "twice" });
    const inUse = async () => (await lab.cli(["ipam", "show", `--ip=${pod.addresses[0]}`])).stdout;
    assert.match(await inUse(), /is in use/);
    await cri.call("StopPodSandbox", { pod_sandbox_id: pod.sandbox });
    assert.match(await inUse(), /is not (assigned|in use)/);
    await cri.call("RemovePodSandbox", { pod_sandbox_id: pod.sandbox });
    await untilNothingIsLeft();
  });

  it("a kill of containerd leaves its pods connected, and nothing of those it was making", async () => {
    const first = await on("node1").cri.runPod({ name: "kept" });
    const names = ["cut1", "cut2", "cut3", "cut4"];
    const cut = names.map((name) =>
      on("node1")
        .cri.runPod({ name })
        .catch(() => undefined),
    );
    await waitFor(async () => (await veths("node1")) > 2, { intervalMs: 2, what: "an ADD" });
    await on("node1").kill();
    await Promise.all(cut);
    const ping = `ping -c 1 -W 10 ${first.addresses[0]}`.split(" ");
    await lab.inside(`${lab.name}-node2-pod1`, ...ping);

    await on("node1").start();
    const known = await on("node1").cri.sandboxes();
    assert.ok(known.some(({ id }) => id === first.sandbox));
    await Promise.all(names.map((name) => runUntilItRuns("node1", { name })));
    await lab.inside(`${lab.name}-node2-pod1`, ...ping);
    await removeAll("node1");
    await untilNothingIsLeft();
  });

  it("a kill of felix in the middle of ADD and of DEL is made good by trying again", async () => {
    const names = Array.from({ length: 6 }, (_, index) => `retried${index}`);
    const running = names.map((name) => runUntilItRuns("node2", { name }));
    await waitFor(async () => (await veths("node2")) > 1, { intervalMs: 2, what: "an ADD" });
    process.kill(felixOf("node2"), "SIGKILL");
    const pods = await Promise.all(running);
    assert.equal(new Set(pods.flatMap(({ addresses }) => addresses)).size, names.length);

    const deleting = removeAll("node2").catch(() => undefined);
    process.kill(felixOf("node2"), "SIGKILL");
    await deleting;
    await waitFor(() => removeAll("node2").then(() => true), { timeoutMs: 120_000, what: "DEL" });
    await untilNothingIsLeft();
  });

  it("a kill of the shim in the middle of ADD fails the pod, and leaves nothing", async () => {
    const felix = felixOf("node1");
    process.kill(felix, "SIGSTOP");
    try {
      const running = on("node1").cri.runPod({ name: "shimless" });
      running.catch(() => undefined);
      const shim = await waitFor(() => shimsUnderWay()[0], { intervalMs: 5, what: "the shim" });
      process.kill(shim, "SIGKILL");
      process.kill(felix, "SIGCONT");
      await assert.rejects(running, /plugin type="calico" failed \(add\)/);
    } finally {
      process.kill(felix, "SIGCONT");
    }
    await untilNothingIsLeft();
    await runUntilItRuns("node1", { name: "shimless" });
    await removeAll("node1");
    await untilNothingIsLeft();
  });

  it("`ctr run --cni`, which names no pod, has a network for as long as it runs", async () => {
    const { conflistFolder, ctr } = on("node1");
    const ran = await run(
      "nsenter",
      [
        `--net=/run/netns/${lab.name}-node1`,
        ...["unshare", "--mount", "--propagation", "private", "sh", "-c"],
        // It reads /etc/cni/net.d and /opt/cni/bin, whatever containerd's configuration says.
        'mkdir -p /etc/cni /opt/cni && mount -t tmpfs none /etc/cni && mount -t tmpfs none /opt/cni && mkdir /etc/cni/net.d && cp "$0"/* /etc/cni/net.d && ln -s "$1" /opt/cni/bin && shift && exec "$@"',
      ].concat(
        conflistFolder,
        join(conflistFolder, "../bin"),
        ctr.call(
          on("node1"),
          "run",
          "--rm",
          "--cni",
          "--snapshotter",
          "native",
          "localhost/busybox:1",
          "plain",
          "/bin/sh",
          "-c",
          // The other node may hear of a new block only now.
          "ip -o -4 address show dev eth0; for i in $(seq 20); do ping -c 1 -W 1 192.168.1.12 && exit 0; done; exit 1",
        ),
      ),
      { env: pluginEnvironment(paths, "node1") },
    );
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    assert.match(ran.stdout, /inet 10\.244\.\d+\.\d+\/32/);
    await untilNothingIsLeft();
  });

  async function veths(node: string): Promise<number> {
    const links = await lab.inside(`${lab.name}-${node}`, "ip", "-o", "link", "show");
    return links.match(/: cali[0-9a-f]{11}/g)?.length ?? 0;
  }

  /** Shims of all this machine's ADDs that wait for the agent of the stopped felix. */
  function shimsUnderWay(): number[] {
    const program = realpathSync(cniPlugins.shim);
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => {
        try {
          const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
          return (
            readlinkSync(`/proc/${pid}/exe`) === program &&
            environment.includes(paths.cniSocket("node1"))
          );
        } catch {
          return false;
        }
      });
  }
});
