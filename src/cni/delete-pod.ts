import type { DeleteCall } from "./call.ts";
import type { EndpointIdentity } from "./endpoint.ts";
import type { EndpointStore } from "./endpoint-store.ts";
import { removeHostInterface, removePodInterface } from "./pod-network.ts";
import type { AgentPorts } from "./ports.ts";

/**
 * DEL (facts 6.3, 6.8): what is gone already is success. Acts only on what is this container's: a pod
 * that was made anew has another one, and the same names.
 */
export async function deletePod(
  call: DeleteCall,
  { identity, netnsFd }: { readonly identity: EndpointIdentity; readonly netnsFd?: number },
  { store, ports }: { readonly store: EndpointStore; readonly ports: AgentPorts },
): Promise<void> {
  await store.requireUnlocked();
  const { addresses, hostKernel } = ports;
  if (call.plugin === "calico-ipam") {
    await addresses.release(identity.handle);
    await addresses.release(identity.legacyHandle);
    await addresses.leave(call, identity);
    return;
  }
  const existing = await store.get(identity);
  const owner = existing?.spec.containerID;
  const ours = existing !== undefined && owner === call.containerId;
  const { hostInterface: hostName } = identity;
  if (netnsFd !== undefined && (ours || owner === undefined)) {
    await removePodInterface({ podName: call.ifName, hostName, netnsFd }, ports);
  }
  if (ours) {
    await removeHostInterface(existing.spec.interfaceName, hostKernel);
    await store.forget(identity, call.containerId);
  }
  await addresses.release(identity.handle);
  if (ours) await addresses.release(identity.legacyHandle);
  // The same pod may be in another container by now.
  if (ours || owner === undefined) await addresses.leave(call, identity);
}
