import { clusterInformationKey } from "../../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../../datastore/datastore.ts";
import { rewrite } from "../../datastore/rewrite.ts";
import { InputError } from "../../lib/errors.ts";

/**
 * Locks or unlocks the datastore. That it is so already is success.
 *
 * @throws {InputError} for a datastore that nobody has started on.
 */
export async function setLock(datastore: Datastore, locked: boolean): Promise<void> {
  const datastoreReady = !locked;
  try {
    await rewrite(datastore, clusterInformationKey, (present) =>
      present.spec.datastoreReady === datastoreReady
        ? present
        : { ...present, spec: { ...present.spec, datastoreReady } },
    );
  } catch (error) {
    if (!isDatastoreError(error, "not-found")) throw error;
    const verb = locked ? "lock" : "unlock";
    throw new InputError(
      `Cannot ${verb} the datastore: it has no ClusterInformation "default", so no node has started on it`,
    );
  }
}
