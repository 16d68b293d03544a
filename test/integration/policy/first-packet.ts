import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { clusterInformation, me, node, policy, pool, profile } from "../../states/resources.ts";
import { CniRuntime, cniConfig, cniPlugins } from "../../support/cni.ts";
import { Flood } from "../../support/flood/flood.ts";
import { TestNetns } from "../../support/netns.ts";
import { waitFor } from "../../support/wait-for.ts";
import { FelixNode } from "../felix-node.ts";

const newAddress = "10.0.77.1";
const peerAddress = "10.0.66.1";
const datagrams = 100;

/**
 * A pod's first packet is never unprotected: while pods of one address come and go, a peer floods that
 * address, and each new pod floods the peer, from before its interface exists. A policy forbids both.
 */
export function floodNewPods(pods: number): void {
  const felix = new FelixNode("first");
  const runtime = new CniRuntime(cniPlugins.shim, join(felix.folder, "cni.sock"));
  const peer = new TestNetns("peer");

  before(async () => {
    await felix.create(
      clusterInformation(true),
      node(me, "192.168.1.11/24"),
      pool("default", "10.0.0.0/16"),
      profile("kns.default"),
      closed,
    );
    await felix.start();
    await call("ADD", "peer", { netns: peer, address: peerAddress });
  });
  after(async () => {
    await felix.close();
    peer.remove();
  });

  test(`nothing forbidden reaches ${pods} new pods, or leaves them`, async () => {
    using flood = new Flood();
    flood.start(peer.path, newAddress);
    for (let pod = 0; pod < pods; pod++) {
      using netns = new TestNetns("new");
      flood.start(netns.path, peerAddress);
      await call("ADD", `new${pod % 3}`, { netns, address: newAddress });
      await flood.more(datagrams, [peer.path, netns.path]);
      assert.deepEqual([delivered(netns), delivered(peer)], [0, 0], `pod ${pod}`);
      await call("DEL", `new${pod % 3}`, { netns, address: newAddress });
      flood.stop(netns.path);
    }
  });

  test("without the policy they would arrive", async () => {
    using flood = new Flood();
    using netns = new TestNetns("new");
    await felix.remove(closed);
    await call("ADD", "open", { netns, address: newAddress });
    flood.start(peer.path, newAddress);
    flood.start(netns.path, peerAddress);
    await waitFor(() => delivered(netns) > 0 && delivered(peer) > 0, { what: "datagrams" });
  });

  async function call(
    command: "ADD" | "DEL",
    pod: string,
    { netns, address }: { readonly netns: TestNetns; readonly address: string },
  ): Promise<void> {
    const annotations = { "cni.projectcalico.org/ipAddrs": JSON.stringify([address]) };
    const labels = [{ key: "app", value: pod === "peer" ? "peer" : "new" }];
    const config = {
      ...cniConfig,
      args: { cni: { labels } },
      runtimeConfig: { "io.kubernetes.cri.pod-annotations": annotations },
    };
    const { code, stdout } = await runtime.call({ command, pod, netns: netns.path, config });
    assert.equal(code, 0, stdout);
  }
}

const closed = policy(
  "closed",
  { selector: "app == 'new'", types: ["Ingress", "Egress"] },
  "default",
);

/** UDP datagrams that came through to this namespace, whether or not somebody listens. */
function delivered(netns: TestNetns): number {
  const [names = "", values = ""] = netns
    .run("cat", ["/proc/net/snmp"])
    .split("\n")
    .filter((line) => line.startsWith("Udp: "));
  const of = (name: string) => Number(values.split(" ")[names.split(" ").indexOf(name)]);
  return of("InDatagrams") + of("NoPorts");
}
