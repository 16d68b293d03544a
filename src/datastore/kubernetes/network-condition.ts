import type { Clock } from "../../lib/clock.ts";
import { nodeCollection, objectPath } from "./collections.ts";
import { KubeAuth } from "./kube-auth.ts";
import { KubeHttp } from "./kube-http.ts";
import type { KubernetesConfig } from "./kubernetes-datastore.ts";

const deadlineMs = 10_000;

/**
 * Tells Kubernetes whether a node has a network: its condition NetworkUnavailable (facts 1.1), by which
 * pods are kept away from it.
 *
 * @throws {DatastoreError} when the server cannot be reached, or refuses.
 */
export async function setNetworkAvailable(
  config: KubernetesConfig,
  {
    name,
    available,
    clock,
  }: {
    readonly name: string;
    readonly available: boolean;
    readonly clock: Clock;
  },
): Promise<void> {
  const auth = await KubeAuth.load(config.access, clock);
  const http = new KubeHttp({ auth, clock, deadlineMs });
  const now = clock
    .date()
    .toISOString()
    .replace(/\.\d+Z$/, "Z");
  const condition = {
    type: "NetworkUnavailable",
    status: available ? "False" : "True",
    reason: available ? "CalicoIsUp" : "CalicoIsDown",
    message: `Calico is ${available ? "running" : "shutting down"} on this node`,
    lastTransitionTime: now,
    lastHeartbeatTime: now,
  };
  const key = { kind: "Node", name } as const;
  try {
    await http.call({
      method: "PATCH",
      path: `${objectPath(nodeCollection, { name })}/status`,
      body: { status: { conditions: [condition] } },
      contentType: "application/strategic-merge-patch+json",
      asked: { verb: "patch", collection: nodeCollection, key, subresource: "status" },
    });
  } finally {
    http.close();
  }
}
