import type { WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { getOrCreate } from "../lib/collections.ts";
import { hostPrefix } from "../lib/prefix.ts";
import type { CollectCall } from "./call.ts";
import type { EndpointStore } from "./endpoint-store.ts";
import { removeHostInterface } from "./pod-network.ts";
import type { AddressHolder, AgentPorts } from "./ports.ts";

interface CollectContext {
  readonly nodeName: string;
  readonly store: EndpointStore;
  readonly ports: AgentPorts;
  inTurn(
    pod: { readonly namespace: string; readonly workload: string },
    work: () => Promise<void>,
  ): Promise<void>;
}

/**
 * GC (CNI 1.1): what containers of this network have on this node that the runtime no longer knows goes:
 * interface, endpoint and addresses. `isBusy`: somebody is adding this container right now. `inTurn`: runs
 * work on a pod when no other call is at it.
 *
 * @throws {AggregateError} of what could not be removed; the rest is.
 */
export async function collectGarbage(
  call: CollectCall,
  isBusy: (containerId: string) => boolean,
  context: CollectContext,
): Promise<void> {
  await context.store.requireUnlocked();
  const { addresses, log } = context.ports;
  const valid = new Set(call.valid.map(({ containerId }) => containerId));
  const holders = await addresses.holders(call.config.name);
  const leaked = holders.filter(({ containerId }) => !valid.has(containerId));
  const endpoints = call.plugin === "calico" ? await endpointsOf(leaked, context) : new Map();
  const errors: unknown[] = [];
  for (const holder of leaked) {
    if (isBusy(holder.containerId)) continue;
    try {
      await removeEndpoints(holder, endpoints.get(holder.containerId), context);
      await addresses.release(holder.handle);
      log.info({ containerId: holder.containerId }, "CNI garbage collected");
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, "Cannot collect all garbage");
}

/** Endpoints of these containers on this node, by container. */
async function endpointsOf(
  holders: readonly AddressHolder[],
  { nodeName, ports }: { readonly nodeName: string; readonly ports: AgentPorts },
): Promise<Map<string, WorkloadEndpoint[]>> {
  const wanted = new Set(holders.map(({ containerId }) => containerId));
  const byContainer = new Map<string, WorkloadEndpoint[]>();
  for (const namespace of new Set(holders.map((holder) => holder.namespace))) {
    const { items } = await ports.datastore.list("WorkloadEndpoint", { namespace });
    for (const endpoint of items) {
      const { node, containerID = "" } = endpoint.spec;
      if (node !== nodeName || !wanted.has(containerID)) continue;
      getOrCreate(byContainer, containerID, () => []).push(endpoint);
    }
  }
  return byContainer;
}

/**
 * But not those with addresses of another network: what a container has of that is not garbage. A pod that
 * was made anew meanwhile has the same interface name and endpoint, and another container.
 */
async function removeEndpoints(
  { containerId, addresses }: AddressHolder,
  endpoints: readonly WorkloadEndpoint[] = [],
  { store, ports, inTurn }: CollectContext,
): Promise<void> {
  const ours = new Set<string>(addresses.map(hostPrefix));
  for (const { metadata, spec } of endpoints) {
    const { ipNetworks = [] } = spec;
    // A pod that has ended tells of none.
    if (ipNetworks.length > 0 && !ipNetworks.some((network) => ours.has(network))) continue;
    const { name: wepName, namespace = "" } = metadata;
    const workload = spec.pod ?? spec.workload ?? containerId;
    await inTurn({ namespace, workload }, async () => {
      const present = await store.get({ wepName, namespace });
      if (present?.spec.containerID !== containerId) return;
      await removeHostInterface(present.spec.interfaceName, ports.hostKernel);
      await store.forget({ wepName, namespace }, containerId);
    });
  }
}
