import { type ClusterSketch, cluster } from "./cluster.ts";
import { Network } from "./network.ts";

/** All nodes of a cluster, configured, with every session up and every route told. */
export function runningNetwork(
  sketch: ClusterSketch,
  options?: Parameters<Network["connect"]>[0],
): Network {
  const network = new Network();
  for (const [name, bgp] of Object.entries(sketch.nodes)) {
    network.add(name, bgp?.ipv4Address?.split("/")[0] ?? "");
  }
  network.configure(cluster(sketch));
  network.connect(options);
  return network;
}
