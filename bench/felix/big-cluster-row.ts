import { readFileSync } from "node:fs";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { FelixNode } from "../../test/integration/felix-node.ts";
import { me, node, pod, policy, pool, profile } from "../../test/states/resources.ts";
import type { Row } from "../row.ts";

const policies = 10_000;
const matching = 20;
const remotePods = 1_000;
const mustReachMb = 400;

/** Memory of a felix that follows many policies, and what of them is in the kernel. */
export async function bigClusterRow(): Promise<Row> {
  // As bin/tortie starts it.
  const felix = new FelixNode("big", {
    NODE_OPTIONS: "--max-semi-space-size=4",
    MALLOC_MMAP_THRESHOLD_: "131072",
  });
  try {
    for (const resource of resources()) await felix.datastore.create(resource as never);
    await felix.start();
    const chains = felix.run("iptables-save", "-t", "filter").match(/^:cali-p[io]-\S+/gm);
    const held = new Set(chains?.map((chain) => chain.slice(":cali-pi-".length))).size;
    const status = readFileSync(`/proc/${felix.pid}/status`, "utf8");
    const megabytes = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
    return {
      work: `10,000 policies of which ${matching} match local pods`,
      measured: `the kernel holds ${held}, RSS ${megabytes.toFixed(0)} MB`,
      mustReach: `the kernel holds ${matching}, RSS <= ${mustReachMb} MB`,
      reached: held === matching && megabytes <= mustReachMb,
    };
  } finally {
    await felix.close();
  }
}

function resources(): AnyResource[] {
  return [
    node(me, "192.168.1.11/24"),
    node("node-b", "192.168.1.12/24"),
    pool("default", "10.0.0.0/16"),
    profile("kns.prod"),
    pod("node--a-k8s-local-eth0", {
      ip: "10.0.0.1/32",
      labels: { app: "local" },
      pod: "local",
      interfaceName: "calilocal",
    }),
    ...Array.from({ length: remotePods }, (_, index) =>
      pod(`node--b-k8s-r${index}-eth0`, {
        node: "node-b",
        ip: `10.0.${16 + (index >> 8)}.${index & 255}/32`,
        labels: { app: `a${index}` },
        pod: `r${index}`,
        interfaceName: `calir${index}`,
      }),
    ),
    ...Array.from({ length: policies }, (_, index) =>
      policy(`policy-${index}`, {
        selector: index < matching ? "app == 'local'" : `app == 'a${index % remotePods}'`,
        types: ["Ingress"],
        ingress: [
          {
            action: "Allow",
            protocol: "TCP",
            source: { selector: `app == 'a${(index * 7) % remotePods}'` },
            destination: { ports: [80, 443] },
          },
        ],
      }),
    ),
  ];
}
