import type { Node } from "./resources/node.ts";

/** Conditions of a Node that only Kubernetes has: they are read, never written. */

/** Kubelet's: whether the node works. */
export const readyType = "Ready";
/** Ours, for `spec.unschedulable`, which `kubectl cordon` and `kubectl drain` set. */
export const cordonedType = "Cordoned";

/** A Node as another datastore may have it: there nobody would renew what Kubernetes says of it. */
export function withoutKubernetesConditions(node: Node): Node {
  const { conditions, ...status } = node.status ?? {};
  if (conditions === undefined) return node;
  const kept = conditions.filter(({ type }) => type !== readyType && type !== cordonedType);
  return { ...node, status: { ...status, ...(kept.length === 0 ? {} : { conditions: kept }) } };
}

/** False when Kubernetes says that a node does not work, or has not heard of it; true where nobody says. */
export function mayWork({ status }: Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === readyType);
  return ready === undefined || ready.status === "True";
}

export function isCordoned({ status }: Node): boolean {
  return status?.conditions?.some(({ type }) => type === cordonedType) ?? false;
}
