import type { ClusterInformationSpec } from "../../api/resources/cluster-information.ts";
import { clusterInformationKey } from "../../datastore/cluster-lock.ts";
import { isDatastoreError } from "../../datastore/datastore.ts";
import type { VerbContext } from "../verb.ts";

/** What ClusterInformation says; nothing in a datastore that no node has started on. */
export async function clusterSpec({
  datastore,
}: Pick<VerbContext, "datastore">): Promise<ClusterInformationSpec> {
  const store = await datastore();
  try {
    return (await store.get(clusterInformationKey)).spec;
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return {};
    throw error;
  }
}
