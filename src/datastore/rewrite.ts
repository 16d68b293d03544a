import type { ResourceKey } from "../api/resource-key.ts";
import type { Kind, ResourceOfKind } from "../api/resource-of-kind.ts";
import { type Datastore, isDatastoreError } from "./datastore.ts";

const maxAttempts = 10;

/**
 * Reads, changes and writes one object, again when somebody else wrote in between.
 *
 * @param change gives the object itself when there is nothing to change.
 * @throws {DatastoreError} not-found, conflict
 */
export async function rewrite<K extends Kind>(
  datastore: Datastore,
  key: ResourceKey<K>,
  change: (present: ResourceOfKind[K]) => ResourceOfKind[K],
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const present = await datastore.get(key);
    const changed = change(present);
    if (changed === present) return;
    try {
      await datastore.update<K>(changed);
      return;
    } catch (error) {
      if (!isDatastoreError(error, "conflict") || attempt === maxAttempts) throw error;
    }
  }
}
