import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { LabStatus } from "../../src/lab/lab-status.ts";
import { TestLab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { losesNoPacket } from "./lab-restart.ts";

/** Three nodes without encapsulation: each pod's way is a route that a session has told. */

const lab = new TestLab("mr");
let status: LabStatus;

before(async () => {
  await lab.mustLab(
    ...["up", "--encapsulation", "None", "--segments", "1", "--nodes", "3", "--pods", "1"],
  );
  status = await lab.status();
});
after(() => lab.down());

const configuration = (nodeToNodeMeshEnabled: boolean) => `
apiVersion: projectcalico.org/v3
kind: BGPConfiguration
metadata: {name: default}
spec: {nodeToNodeMeshEnabled: ${nodeToNodeMeshEnabled}}
`;

const reflectorPeer = `
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata: {name: reflectors}
spec: {nodeSelector: all(), peerSelector: reflector == 'yes'}
`;

/** The sessions of each node are Established, and with these addresses. */
async function sessions(wanted: Readonly<Record<string, readonly string[]>>): Promise<void> {
  await waitFor(
    async () => {
      const { nodes } = await lab.status();
      return nodes.every(({ name, peers }) => {
        const up = peers.filter(({ state }) => state === "Established");
        const addresses = up.map(({ address }) => address).sort();
        return peers.length === up.length && addresses.join() === wanted[name]?.join();
      });
    },
    { timeoutMs: 60_000, what: "the sessions" },
  );
}

/** node3 as a reflector, or as a plain node. */
async function node3As(what: "reflector" | "node"): Promise<string> {
  const node = "node3";
  const shown = await lab.cli(["get", "node", node, "-o", "json"]);
  const resource = JSON.parse(shown.stdout) as {
    metadata: { labels?: Record<string, string> };
    spec: { bgp: Record<string, string> };
  };
  const { routeReflectorClusterID: _none, ...bgp } = resource.spec.bgp;
  const isReflector = what === "reflector";
  resource.metadata.labels = { ...resource.metadata.labels, reflector: isReflector ? "yes" : "no" };
  resource.spec.bgp = isReflector ? { ...bgp, routeReflectorClusterID: "1.0.0.1" } : bgp;
  return JSON.stringify(resource);
}

test("from the mesh to a reflector and back, under a continuous ping: no packet is lost", async () => {
  await losesNoPacket(status, async () => {
    const reflector = await node3As("reflector");
    await lab.apply([reflector, configuration(false), reflectorPeer].join("\n---\n"));
    await sessions({
      node1: ["192.168.1.13"],
      node2: ["192.168.1.13"],
      node3: ["192.168.1.11", "192.168.1.12"],
    });
    await routedPastReflector();
    const plain = await node3As("node");
    await lab.apply([configuration(true), plain].join("\n---\n"));
    await sessions({
      node1: ["192.168.1.12", "192.168.1.13"],
      node2: ["192.168.1.11", "192.168.1.13"],
      node3: ["192.168.1.11", "192.168.1.12"],
    });
  });
});

async function routedPastReflector(): Promise<void> {
  const [node1, node2] = status.nodes;
  assert.ok(node1 !== undefined && node2 !== undefined);
  const routes = await lab.inside(node1.netns, "ip", "route", "show", "proto", "bird");
  assert.match(routes, new RegExp(`^${node2.blocks[0]} via 192.168.1.12 `, "m"));
}
