import { withoutKubernetesConditions } from "../../api/node-conditions.ts";
import type { AnyResource, Kind } from "../../api/resource-of-kind.ts";
import { clusterInformationKey, isLocked } from "../../datastore/cluster-lock.ts";
import type { Datastore } from "../../datastore/datastore.ts";
import { InputError } from "../../lib/errors.ts";
import { migratedKinds } from "./migrated-kinds.ts";
import { checkAll, type Migration, withoutIdentity } from "./migration-file.ts";

/**
 * Everything of a locked datastore.
 *
 * @throws {InputError} when it is not locked, is being written to, or holds what nobody can decode or no import accepts.
 */
export async function exportDatastore(datastore: Datastore): Promise<Migration> {
  await requireLock(datastore);
  const before = await versionsOf(datastore);
  const cluster = await datastore.get(clusterInformationKey);
  const stored: AnyResource[] = [];
  for (const kind of migratedKinds) stored.push(...(await liveObjects(datastore, kind)));
  await requireLock(datastore);
  if ((await versionsOf(datastore)) !== before) {
    throw new InputError(
      "Cannot export: somebody still assigns or releases addresses. Wait until it is done, and export again",
    );
  }
  const resources = stored.map((resource) =>
    withoutIdentity(resource.kind === "Node" ? withoutKubernetesConditions(resource) : resource),
  );
  checkAll([cluster, ...resources], "the datastore");
  return { cluster: withoutIdentity(cluster), resources };
}

async function requireLock(datastore: Datastore): Promise<void> {
  if (await isLocked(datastore)) return;
  throw new InputError(
    "Cannot export: the datastore is not locked. Run `tortie datastore migrate lock` first",
  );
}

/**
 * Of IPAM's objects, those that are not being deleted: the rest counts as absent (facts 2.3).
 *
 * @throws {InputError} when something is there that cannot be decoded: it would be lost.
 */
export async function liveObjects(datastore: Datastore, kind: Kind): Promise<AnyResource[]> {
  const { items, unreadable } = await datastore.list(kind);
  if (unreadable !== undefined) {
    throw new InputError(
      `Cannot read what the datastore has of ${kind} at ${unreadable.join(", ")}: repair it or delete it first`,
    );
  }
  return (items as readonly AnyResource[]).filter(
    ({ spec }) => (spec as { deleted?: boolean } | undefined)?.deleted !== true,
  );
}

/** What an ADD or DEL that began before the lock would change. */
async function versionsOf(datastore: Datastore): Promise<string> {
  const lists = await Promise.all(
    (["IPAMBlock", "IPAMHandle", "BlockAffinity"] as const).map((kind) => datastore.list(kind)),
  );
  return lists
    .flatMap(({ items }) => items as readonly AnyResource[])
    .map(({ kind, metadata }) => `${kind} ${metadata.name} ${metadata.resourceVersion}`)
    .join("\n");
}
