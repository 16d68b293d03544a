import type { Allocation } from "./audit.ts";
import { windowsHandle } from "./handles.ts";

/**
 * What an allocation looks like at one moment:
 * - `used`: somebody has it on an interface, or it is of a virtual machine that is there;
 * - `resting`: released, and not free yet;
 * - `unknown`: nobody can say that it is unused: neither a pod's nor a tunnel's, say;
 * - `unused`: of a pod or virtual machine that is not there;
 * - `node-gone`: unused, and its node does not exist.
 */
export type AllocationUse = "used" | "resting" | "unknown" | "unused" | "node-gone";

const tunnelTypes: ReadonlySet<string> = new Set([
  "ipipTunnelAddress",
  "vxlanTunnelAddress",
  "vxlanV6TunnelAddress",
  "wireguardTunnelAddress",
  "wireguardV6TunnelAddress",
]);

/** Attribute `type` of an address of a Service (facts 3.11). */
export const serviceType = "LoadBalancer";

export function isOfService({ type, service }: Allocation["attributes"]): boolean {
  return type === serviceType && service !== undefined;
}

/** A machine keeps its addresses while it has no pod (facts 3.12), and while its last one ends. */
const machineUse = { there: "used", ending: "used", unknown: "unknown", gone: "unused" } as const;

/** Facts 3.10: what cannot be told is taken for used. */
export function allocationUse(allocation: Allocation, nodes: ReadonlySet<string>): AllocationUse {
  const { handle, attributes, users, coolingSince, machine } = allocation;
  if (coolingSince !== undefined) return "resting";
  if (users.length > 0) return "used";
  if (handle === "" || handle === windowsHandle) return "unknown";
  if (machine !== undefined) return machineUse[machine.state];
  const { node, pod, namespace, type = "" } = attributes;
  if (node === undefined) return "unknown";
  if (tunnelTypes.has(type)) return nodes.has(node) ? "used" : "node-gone";
  if (!pod || !namespace) return "unknown";
  return nodes.has(node) ? "unused" : "node-gone";
}

/**
 * Handles with an address that is used, or may be. A handle leaks as a whole or not at all (facts 3.10):
 * none of their addresses is leaked.
 */
export function heldHandles(
  allocations: readonly Allocation[],
  nodes: ReadonlySet<string>,
): ReadonlySet<string> {
  const held = allocations.filter((allocation) => {
    const use = allocationUse(allocation, nodes);
    return use === "used" || use === "unknown";
  });
  return new Set(held.map(({ handle }) => handle));
}
