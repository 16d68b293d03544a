import type { Node } from "./resources/node.ts";

/** Conditions of a Node that only Kubernetes has: they are read, never written. */

/** Kubelet's: whether the node works. */
export const readyType = "Ready";
/** Ours, for `spec.unschedulable`, which `kubectl cordon` and `kubectl drain` set. */
export const cordonedType = "Cordoned";

/** False when Kubernetes says that a node does not work, or has not heard of it; true where nobody says. */
export function mayWork({ status }: Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === readyType);
  return ready === undefined || ready.status === "True";
}

export function isCordoned({ status }: Node): boolean {
  return status?.conditions?.some(({ type }) => type === cordonedType) ?? false;
}
