import type { Datastore } from "../../src/datastore/datastore.ts";
import { Ipam } from "../../src/ipam/ipam.ts";
import { systemClock } from "../../src/lib/clock.ts";

export function ipamOn(datastore: Datastore): Ipam {
  return new Ipam({ datastore, clock: systemClock, random: Math.random });
}

/** One address for a pod; `pools`: from these alone. */
export async function assignOne(
  ipam: Ipam,
  node: string,
  pod: string,
  pools4: readonly string[] = [],
): Promise<string> {
  const [assigned] = await ipam.autoAssign({
    node,
    use: "Workload",
    num4: 1,
    pools4,
    handle: `k8s-pod-network.${pod}`,
    attributes: { node, pod, namespace: "default", timestamp: new Date().toISOString() },
  });
  return assigned?.address ?? "";
}
