import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import type { NetworkPolicy } from "../../src/api/resources/policy.ts";
import type { WorkloadEndpoint } from "../../src/api/resources/workload-endpoint.ts";
import { me, node, pod, policy, pool, profile } from "../../test/states/resources.ts";

/**
 * A node with 200 pods, 1,000 pods elsewhere and 1,000 policies that are all in use, five a pod. A policy
 * has five ingress rules, which are ten rules of iptables: three from a selector each, of 100 different
 * ones, two from anywhere.
 */

export const localPods = 200;
export const policies = 1_000;
const remotePods = 1_000;
export const teams = 100;

export function clusterOf(): AnyResource[] {
  return [
    node(me, "192.168.1.11/24"),
    node("node-b", "192.168.1.12/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.prod"),
    ...range(localPods, localPod),
    ...range(remotePods, (index) => remotePod(index, `t${index % teams}`)),
    ...range(policies, (index) => policyOf(index, 80)),
  ];
}

export function interfaceOf(index: number): string {
  return `calib${String(index).padStart(4, "0")}`;
}

function localPod(index: number): WorkloadEndpoint {
  return pod(`node--a-k8s-p${index}-eth0`, {
    ip: `10.0.1.${index}/32`,
    labels: { app: `a${index}` },
    pod: `p${index}`,
    interfaceName: interfaceOf(index),
  });
}

/** A pod of team "all" is in every set. */
export function remotePod(index: number, team: string): WorkloadEndpoint {
  return pod(`node--b-k8s-r${index}-eth0`, {
    node: "node-b",
    ip: `10.0.${16 + (index >> 8)}.${index & 255}/32`,
    labels: { team },
    pod: `r${index}`,
  });
}

/** `port` is that of its first rule. */
export function policyOf(index: number, port: number): NetworkPolicy {
  const from = (rule: number) => ({
    action: "Allow" as const,
    protocol: "TCP",
    source: { selector: `team in {'all', 't${(index * 3 + rule) % teams}'}` },
    destination: { ports: [rule === 0 ? port : 8000 + rule] },
  });
  const open = (rule: number) => ({
    action: "Allow" as const,
    protocol: "TCP",
    destination: { ports: [9000 + rule] },
  });
  return policy(`policy-${index}`, {
    selector: `app == 'a${index % localPods}'`,
    types: ["Ingress"],
    ingress: [from(0), from(1), from(2), open(3), open(4)],
  });
}

function range<Item>(count: number, item: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => item(index));
}
