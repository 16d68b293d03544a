import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { clusterInformation, me, node, pool, profile } from "../states/resources.ts";
import { CniRuntime, cniPlugins } from "../support/cni.ts";
import { TestNetns } from "../support/netns.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode } from "./felix-node.ts";

/** Deletions while no agent is there: the runtime is told that they are done, and then they are. */

const felix = new FelixNode("del");
const spool = join(felix.folder, "cni-deletions");

before(async () => {
  await felix.create(
    clusterInformation(true),
    node(me, "192.168.1.11/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.default"),
  );
  await felix.start();
});
after(() => felix.close());

async function containers(): Promise<string[]> {
  const { items } = await felix.datastore.list("WorkloadEndpoint");
  return items.map(({ spec }) => spec.containerID ?? "").sort();
}

async function handles(): Promise<string[]> {
  const { items } = await felix.datastore.list("IPAMHandle");
  return items.map(({ spec }) => spec.handleID).sort();
}

test("deletions of both plugins wait for the agent, and leave a pod that was made anew alone", async () => {
  const runtimes = Object.entries(cniPlugins).map(([name, program]) => ({
    name: name.toLowerCase(),
    runtime: new CniRuntime(program, join(felix.folder, "cni.sock"), spool),
  }));
  const [{ runtime: first } = assert.fail("no plugin")] = runtimes;
  const netns = { old: new TestNetns("old"), anew: new TestNetns("anew") };
  const web = (command: string, container: string, path: string) =>
    first.call({ command, pod: "web", netns: path, env: { CNI_CONTAINERID: container } });
  const pods = runtimes.map(({ name, runtime }) => ({ name, runtime, netns: new TestNetns(name) }));
  try {
    for (const pod of pods) {
      const { code, stdout } = await pod.runtime.call({
        command: "ADD",
        pod: pod.name,
        netns: pod.netns.path,
      });
      assert.equal(code, 0, stdout);
    }
    assert.equal((await web("ADD", "old", netns.old.path)).code, 0);
    assert.equal((await web("ADD", "anew", netns.anew.path)).code, 0);
    await felix.stop("SIGKILL");
    for (const { name, runtime } of pods) {
      assert.equal((await runtime.call({ command: "DEL", pod: name })).code, 0);
    }
    // The pod has the same name and the same interface on the node as its earlier sandbox.
    assert.equal((await web("DEL", "old", "")).code, 0);
    assert.equal(readdirSync(spool).length, 3);
    assert.equal((await containers()).length, 3);
    await felix.start();
    await waitFor(() => readdirSync(spool).length === 0, { what: "the deletions" });
    assert.deepEqual(await containers(), ["anew"]);
    assert.deepEqual(await handles(), ["k8s-pod-network.anew"]);
    assert.equal(felix.run("ip", "-o", "link").match(/cali[0-9a-f]{11}/g)?.length, 1);
    assert.match(netns.anew.ip("-o link show"), /eth0/);
    assert.equal((await web("CHECK", "anew", netns.anew.path)).code, 0);
  } finally {
    for (const each of [...Object.values(netns), ...pods.map((pod) => pod.netns)]) each.remove();
  }
});
