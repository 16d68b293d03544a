import type { ClusterInformation } from "../api/resources/cluster-information.ts";
import { type Datastore, isDatastoreError } from "./datastore.ts";

export const clusterInformationKey = { kind: "ClusterInformation", name: "default" } as const;

/**
 * True while the datastore is locked for a migration: nobody assigns or releases addresses then, and
 * the dataplane stays as it is (facts 2.8, D 67). A datastore that no node has started on is not.
 */
export async function isLocked(datastore: Pick<Datastore, "get">): Promise<boolean> {
  try {
    return locks(await datastore.get(clusterInformationKey));
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return false;
    throw error;
  }
}

export function locks({ spec }: ClusterInformation): boolean {
  return spec.datastoreReady === false;
}
