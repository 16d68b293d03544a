import { keyOf, type ResourceKey } from "../api/resource-key.ts";
import type { Kind } from "../api/resource-of-kind.ts";
import type { Node } from "../api/resources/node.ts";
import { isDatastoreError } from "../datastore/datastore.ts";
import type { Allocation } from "../ipam/audit.ts";
import type { StorePorts } from "./store-item.ts";

/**
 * Takes from a node all that it has, before it is deleted, as calicoctl does: its workload endpoints, the
 * addresses of these and of its tunnels, its blocks, the BGPPeers that name it, and its own
 * FelixConfiguration and BGPConfiguration. What is gone already is no error, so it can be tried again.
 *
 * Differs from calicoctl, which releases addresses first: here nobody has an address that is free.
 *
 * @throws {InputError} before anything is done, where the datastore deletes no nodes.
 */
export async function retireNode(node: Node, ports: StorePorts): Promise<void> {
  await requireDeletable(keyOf(node), ports);
  const { name } = node.metadata;
  const { datastore } = ports;
  const { Ipam } = await import("../ipam/ipam.ts");
  const ipam = new Ipam(ports);
  const { allocations, endpoints } = await ipam.survey();
  for (const endpoint of endpoints) {
    if (endpoint.spec.node === name) await deleteIfPresent(keyOf(endpoint), ports);
  }
  const held = allocations.filter((each) => isHeldBy(name, each));
  if (held.length > 0) await ipam.releaseIps(held);
  await ipam.releaseAffinities({ node: name });
  for (const peer of (await datastore.list("BGPPeer")).items) {
    if (peer.spec.node === name) await deleteIfPresent(keyOf(peer), ports);
  }
  await deleteIfPresent({ kind: "FelixConfiguration", name: `node.${name}` }, ports);
  await deleteIfPresent({ kind: "BGPConfiguration", name: `node.${name}` }, ports);
}

/** A delete at a version that never was changes nothing, and tells whether there are deletes at all. */
async function requireDeletable(key: ResourceKey, { datastore }: StorePorts): Promise<void> {
  try {
    await datastore.delete(key, "0");
  } catch (error) {
    if (!isDatastoreError(error, "conflict")) throw error;
  }
}

/** Used by it alone; or by nobody, and given to it. A virtual machine's goes with the machine. */
function isHeldBy(node: string, allocation: Allocation): boolean {
  const { attributes, users, coolingSince, machine } = allocation;
  if (coolingSince !== undefined || machine !== undefined) return false;
  if (users.length === 0) return attributes["node"] === node;
  return users.every((user) => user.node === node);
}

async function deleteIfPresent<K extends Kind>(
  key: ResourceKey<K>,
  { datastore }: StorePorts,
): Promise<void> {
  try {
    await datastore.delete(key);
  } catch (error) {
    if (!isDatastoreError(error, "not-found")) throw error;
  }
}
