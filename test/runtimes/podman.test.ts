import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { labPaths } from "../../src/lab/lab-state.ts";
import { labUp } from "../integration/lab-churn.ts";
import { cniPlugins } from "../support/cni.ts";
import { TestLab } from "../support/lab.ts";
import { pluginEnvironment } from "../support/runtimes/lab-containerd.ts";
import { Podman } from "../support/runtimes/podman.ts";

/** podman names a pod (its container) and no namespace in CNI_ARGS, and remembers results. */
describe("podman with the CNI backend", () => {
  const lab = new TestLab("p");
  const paths = labPaths(lab.name, { TORTIE_LAB_DIR: lab.folder });
  // Without "policy": the plugin makes the profile of these containers itself.
  const conflist = {
    name: "containers",
    cniVersion: "1.0.0",
    plugins: [{ type: "calico", ipam: { type: "calico-ipam" } }],
  };
  let podman: Podman | undefined;
  const running = () => podman ?? assert.fail("podman has not started");

  before(async () => {
    await labUp(lab, "--pods", "1");
    podman = await Podman.start({
      netns: `/run/netns/${lab.name}-node1`,
      networks: {
        plugin: cniPlugins.shim,
        pluginEnv: pluginEnvironment(paths, "node1"),
        conflists: [conflist],
      },
    });
  });
  after(async () => {
    await podman?.remove();
    await lab.down();
  });

  const start = (name: string) =>
    running().must("run", "--detach", "--name", name, "--network", conflist.name, "busybox:1");
  const addressOf = async (name: string) => {
    const text = await running().must("exec", name, "ip", "-o", "-4", "address", "show", "eth0");
    return /inet ([\d.]+)\/32/.exec(text)?.[1] ?? assert.fail(text);
  };

  async function assertNothingLeft(): Promise<void> {
    const { stdout } = await lab.cli(["get", "workloadendpoints", "-A", "-o", "json"]);
    const { items } = JSON.parse(stdout) as { items: { spec: { pod?: string } }[] };
    assert.deepEqual(
      items.map(({ spec }) => spec.pod),
      ["pod1", "pod1"],
    );
    const check = await lab.cli(["ipam", "check"]);
    assert.equal(check.code, 0, check.stdout);
    const links = await lab.inside(`${lab.name}-node1`, "ip", "-o", "link", "show");
    assert.equal(links.match(/: cali[0-9a-f]{11}/g)?.length, 1, links);
  }

  it("containers without a Kubernetes namespace reach each other, and leave nothing", async () => {
    await Promise.all([start("left"), start("right")]);
    const { stdout } = await lab.cli(["get", "workloadendpoints", "-A", "-o", "json"]);
    const { items } = JSON.parse(stdout) as { items: { spec: { orchestrator: string } }[] };
    assert.equal(items.filter(({ spec }) => spec.orchestrator === "cni").length, 2);
    const right = await addressOf("right");
    assert.notEqual(right, await addressOf("left"));
    await running().must("exec", "left", "ping", "-c", "1", "-W", "10", right);
    await running().must("rm", "--force", "--time", "0", "left", "right");
    await assertNothingLeft();
  });

  it("a container of the same name has a network again", async () => {
    for (const round of [1, 2, 3]) {
      await start("again");
      assert.match(await addressOf("again"), /^10\.244\./, `round ${round}`);
      await running().must("rm", "--force", "--time", "0", "again");
    }
    await assertNothingLeft();
  });
});
