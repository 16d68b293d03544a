import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { IPPool } from "../../src/api/resources/ip-pool.ts";
import { type ClusterNode, ManifestCluster, type Program } from "../support/deploy/cluster.ts";
import { manifestObjects } from "../support/deploy/manifest.ts";
import { Tunnel } from "../support/deploy/tunnel.ts";
import { outputOf, reasonToSkip } from "../support/go-program.ts";
import { findKubeApiServer } from "../support/kube-apiserver/program.ts";
import { findKustomize } from "../support/kustomize/program.ts";
import { waitFor } from "../support/wait-for.ts";

/** calico-node with the command and environment of each overlay becomes ready, and makes the pools it says. */

const found = findKubeApiServer();
const kustomize = findKustomize();
const folder = fileURLToPath(new URL("../../deploy/overlays/", import.meta.url));

describe("calico-node of a kustomize overlay", {
  skip: reasonToSkip(found) || reasonToSkip(kustomize),
}, () => {
  it("vxlan-only: ready without BGP, and its pool always has VXLAN", async () => {
    await withNode("vxlan-only", async ({ start, pools }) => {
      const agent = await start({});
      assert.deepEqual(
        (await pools(agent)).map(({ spec: { vxlanMode, ipipMode } }) => ({ vxlanMode, ipipMode })),
        [{ vxlanMode: "Always", ipipMode: "Never" }],
      );
      await assert.rejects(agent.ask(["bgp", "peers"]));
    });
  });

  it("dual-stack: addresses and pools of both families", async () => {
    await withNode("dual-stack", async ({ cluster, node, start, pools }) => {
      node.netns.ip("addr add 2001:db8::11/64 dev eth0 nodad");
      const addresses = [node.address, "2001:db8::11"].map((address) => ({
        type: "InternalIP",
        address,
      }));
      const path = `/api/v1/nodes/${node.name}/status`;
      const type = "application/merge-patch+json";
      await cluster.server.must("PATCH", path, { status: { addresses } }, type);
      const made = await pools(await start({}));
      assert.deepEqual(made.map(({ metadata, spec }) => [metadata.name, spec.natOutgoing]).sort(), [
        ["default-ipv4-ippool", true],
        ["default-ipv6-ippool", true],
      ]);
    });
  });

  it("etcd: the node and its pool are in etcd", async () => {
    await withNode("etcd", async ({ cluster, node, start, pools }) => {
      const endpoint = cluster.server.etcd.endpoint;
      const tunnel = new Tunnel(Number(new URL(endpoint).port));
      try {
        await tunnel.into(node.netns);
        // That etcd has no certificates.
        const none = { ETCD_CA_CERT_FILE: "", ETCD_CERT_FILE: "", ETCD_KEY_FILE: "" };
        const agent = await start({ ETCD_ENDPOINTS: endpoint, ...none });
        assert.deepEqual(
          (await pools(agent)).map(({ metadata }) => metadata.name),
          ["default-ipv4-ippool"],
        );
        const { text } = await cluster.server.request(
          "GET",
          "/apis/crd.projectcalico.org/v1/ippools",
        );
        assert.deepEqual((JSON.parse(text) as { readonly items: unknown[] }).items, []);
        await agent.end();
      } finally {
        await tunnel.remove();
      }
    });
  });
});

interface OverlayNode {
  readonly cluster: ManifestCluster;
  readonly node: ClusterNode;
  /** calico-node that is ready. */
  start(env: Readonly<Record<string, string>>): Promise<Program>;
  pools(agent: Program): Promise<readonly IPPool[]>;
}

async function withNode(
  overlay: string,
  use: (overlayNode: OverlayNode) => Promise<void>,
): Promise<void> {
  const objects = manifestObjects(outputOf(kustomize, ["build", `${folder}${overlay}`]));
  const cluster = await ManifestCluster.start("path" in found ? found.path : "", objects);
  try {
    const node = await cluster.addNode("node1");
    await use({
      cluster,
      node,
      start: async (env) => {
        const agent = await cluster.run("calico-node", node, { env });
        const ready = () => cluster.probe("calico-node", node, "readinessProbe");
        await waitFor(ready, { timeoutMs: 120_000, intervalMs: 500, what: overlay }).catch(
          (cause: unknown) => {
            throw new Error(agent.log().slice(-4000), { cause });
          },
        );
        return agent;
      },
      pools: async (agent) => {
        const { items } = JSON.parse(await agent.ask(["get", "ippools", "-o", "json"])) as {
          readonly items: readonly IPPool[];
        };
        return items;
      },
    });
  } finally {
    await cluster.remove();
  }
}
