import type { AnyResource } from "../src/api/resource-of-kind.ts";
import { clusterInformation, me, node, policy, pool, profile } from "../test/states/resources.ts";

/** A cluster of one node, of whose pods each has a policy for each of these TCP ports, and the one set of all pods. */
export function podCluster(ports: readonly number[]): AnyResource[] {
  return [
    clusterInformation(true),
    node(me, "192.168.1.11/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.default"),
    ...ports.map((port, index) => policyOf(`policy-${index}`, port)),
  ];
}

function policyOf(name: string, port: number): AnyResource {
  const rule = {
    action: "Allow",
    protocol: "TCP",
    source: { selector: "all()" },
    destination: { ports: [port] },
  } as const;
  return policy(name, { selector: "all()", types: ["Ingress"], ingress: [rule] }, "default");
}
