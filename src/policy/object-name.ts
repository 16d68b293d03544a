import { type PolicyShortKind, policyIdentity } from "../api/policy-identity.ts";
import type { AnyResource } from "../api/resource-of-kind.ts";
import type { ObjectName } from "./verdict.ts";

const kubernetesKinds: Partial<Record<PolicyShortKind, string>> = {
  knp: "Kubernetes NetworkPolicy",
  kcnp: "ClusterNetworkPolicy",
};

/** What a person calls the object: a pod is not called by the name of its WorkloadEndpoint. */
export function objectName(resource: AnyResource): ObjectName {
  const { name, namespace } = resource.metadata;
  const place = namespace === undefined ? {} : { namespace };
  if (resource.kind === "WorkloadEndpoint" && resource.spec.pod !== undefined) {
    return { kind: "Pod", ...place, name: resource.spec.pod };
  }
  if (resource.kind === "NetworkPolicy" || resource.kind === "GlobalNetworkPolicy") {
    const { shortKind, name: written } = policyIdentity(resource);
    const kind = kubernetesKinds[shortKind] ?? resource.kind;
    return { kind, ...place, name: written };
  }
  return { kind: resource.kind, ...place, name };
}
