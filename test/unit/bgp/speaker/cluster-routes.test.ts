import assert from "node:assert/strict";
import { test } from "node:test";
import { NextHops } from "../../../../src/bgp/rib/next-hop.ts";
import type { KernelRoute } from "../../../../src/kernel/kernel.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { type ClusterSketch, cluster } from "./cluster.ts";
import { connected, Network } from "./network.ts";

const sketch: ClusterSketch = {
  nodes: {
    node1: { ipv4Address: "192.168.1.11/24" },
    node2: { ipv4Address: "192.168.2.12/24" },
  },
  pools: [{ cidr: "10.244.0.0/16", ipipMode: "Always" }],
  blocks: { "10.244.1.0/26": "node1", "10.244.2.0/26": "node2" },
  configurations: { default: { programClusterRoutes: "Enabled" } },
  felix: { programClusterRoutes: "Disabled" },
};

function running(): Network {
  const network = new Network();
  network.add("node1", "192.168.1.11");
  network.add("node2", "192.168.2.12");
  network.configure(cluster(sketch));
  network.connect();
  return network;
}

const podRoute = (destination: string, ifindex: number): KernelRoute => ({
  table: 254,
  destination: parsePrefix(destination),
  priority: 0,
  kind: "unicast",
  scope: "link",
  protocol: 3,
  ifindex,
});

/** The kernel of node1: on the link with everybody, with tunl0 or not, and pods behind cali4. */
function kernelOf(own: string, { tunnel = false, pods = [] as readonly string[] } = {}): NextHops {
  const { source } = connected(parseIpAddr(own), "192.168.0.0/16");
  return new NextHops({
    ...source,
    routes: [...source.routes, ...pods.map((pod) => podRoute(pod, 4))],
    interfaceNames: new Map([
      [2, "eth0"],
      [4, "cali4"],
    ]),
    ...(tunnel ? { tunnelIfindex: 7 } : {}),
  });
}

test("Routes of IPIP pools come with tunl0, follow it when it is made anew, and go with it", () => {
  const network = running();
  const node1 = network.host("node1");
  const route = () => node1.routes.get(parsePrefix("10.244.2.0/26"));
  assert.equal(route(), undefined);
  const see = (tunnelIfindex: number | undefined) => {
    const { tunnelIfindex: _before, ...rest } = kernelOf("192.168.1.11").source;
    const source = tunnelIfindex === undefined ? rest : { ...rest, tunnelIfindex };
    node1.post({ kind: "nextHops", nextHops: new NextHops(source) });
    network.settle();
  };
  see(7);
  assert.deepEqual([route()?.gateway, route()?.ifindex], ["192.168.2.12", 7]);
  see(8);
  assert.equal(route()?.ifindex, 8);
  see(undefined);
  assert.equal(route(), undefined);
  assert.equal(node1.routeTo("10.244.1.0/26"), "blackhole");
});

test("Somebody who announces a pod's address does not take its route", () => {
  const network = running();
  const see = (name: string, own: string, pods: readonly string[]) => {
    network.host(name).post({ kind: "nextHops", nextHops: kernelOf(own, { tunnel: true, pods }) });
    network.settle();
  };
  see("node2", "192.168.2.12", ["10.244.1.5/32"]);
  see("node1", "192.168.1.11", []);
  const node1 = network.host("node1");
  assert.equal(node1.routeTo("10.244.1.5/32"), "via 192.168.2.12");
  see("node1", "192.168.1.11", ["10.244.1.5/32"]);
  assert.equal(node1.routeTo("10.244.1.5/32"), undefined);
  see("node1", "192.168.1.11", []);
  assert.equal(node1.routeTo("10.244.1.5/32"), "via 192.168.2.12");
});

test("A pod's address from another node's block is announced by the node that has the pod, and leads there", () => {
  const network = running();
  const see = (name: string, own: string, pods: readonly string[]) => {
    network.host(name).post({ kind: "nextHops", nextHops: kernelOf(own, { tunnel: true, pods }) });
    network.settle();
  };
  see("node1", "192.168.1.11", ["10.244.1.5/32", "10.244.2.9/32", "172.16.0.1/32"]);
  see("node2", "192.168.2.12", []);
  const node2 = network.host("node2");
  const told = () => [...node2.routes.keys()].filter((prefix) => prefix !== "10.244.2.0/26").sort();
  assert.deepEqual(told(), ["10.244.1.0/26", "10.244.2.9/32"]);
  assert.equal(node2.routeTo("10.244.2.9/32"), "via 192.168.1.11");
  assert.equal(
    network.host("node1").routeTo("10.244.2.9/32"),
    undefined,
    "felix has the pod's own",
  );
  see("node1", "192.168.1.11", ["10.244.1.5/32"]);
  assert.deepEqual(told(), ["10.244.1.0/26"]);
});
