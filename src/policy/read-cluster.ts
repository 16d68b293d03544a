import type { Datastore } from "../datastore/datastore.ts";
import { type PolicyCluster, policyCluster, policyKinds } from "./cluster.ts";

/** The cluster of a datastore. */
export async function readPolicyCluster(datastore: Datastore): Promise<PolicyCluster> {
  const lists = await Promise.all(policyKinds.map((kind) => datastore.list(kind)));
  return policyCluster(lists.flatMap(({ items }) => items));
}
