import type { ManifestItem } from "../api/manifest.ts";
import type { Metadata } from "../api/meta.ts";
import { keyOf, type ResourceKey } from "../api/resource-key.ts";
import type { AnyResource, Kind } from "../api/resource-of-kind.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { objectRefused } from "../datastore/stored-metadata.ts";
import type { Clock } from "../lib/clock.ts";
import { parsePrefix } from "../lib/prefix.ts";
import { checkCreate, checkDelete, checkUpdate } from "./write-rules.ts";

export interface StorePorts {
  readonly datastore: Datastore;
  readonly clock: Clock;
  /** 0 to 1, for pauses after conflicts. */
  random(): number;
}

/** Tries of a write that names no version, when others write too. */
const maxAttempts = 10;

/** Addresses being assigned when a pool is disabled are assigned by then (facts 2.3). */
const poolSettleMs = 500;

/**
 * Creates the object.
 *
 * @throws {DatastoreError} already-exists; {InputError} when a rule between objects forbids it.
 */
export async function createItem(item: ManifestItem, ports: StorePorts): Promise<void> {
  const [resource, ...companions] = item.resources;
  if (resource === undefined) return;
  await create(resource, ports);
  for (const companion of companions) await createIfMissing(companion, ports);
}

/** Creates the object, or replaces what there is. */
export async function applyItem(item: ManifestItem, ports: StorePorts): Promise<void> {
  const [resource, ...companions] = item.resources;
  if (resource === undefined) return;
  await persistently(resource, async () => {
    try {
      await update(resource, ports);
    } catch (error) {
      if (!isDatastoreError(error, "not-found")) throw error;
      await create(resource, ports);
    }
  });
  for (const companion of companions) await createIfMissing(companion, ports);
}

/**
 * Replaces the object.
 *
 * @throws {DatastoreError} not-found, conflict
 */
export async function replaceItem(item: ManifestItem, ports: StorePorts): Promise<void> {
  const [resource] = item.resources;
  if (resource !== undefined) await persistently(resource, () => update(resource, ports));
}

/**
 * Deletes the object and what was stored besides it. A pool is disabled first, gives back its blocks,
 * then goes (facts 2.3); a node first loses what it has.
 *
 * @throws {DatastoreError} not-found, conflict; {InputError} when it may not be deleted.
 */
export async function deleteObject(
  key: ResourceKey,
  companions: readonly ResourceKey[],
  ports: StorePorts & { readonly resourceVersion?: string },
): Promise<void> {
  const { datastore } = ports;
  const resource: AnyResource = await datastore.get<Kind>(key);
  await checkDelete(resource, datastore);
  let version = ports.resourceVersion;
  if (resource.kind === "IPPool") {
    await retirePool(resource, version, ports);
    version = undefined;
  }
  if (resource.kind === "Node") {
    const { retireNode } = await import("./retire-node.ts");
    if (version !== undefined && version !== resource.metadata.resourceVersion) {
      throw objectRefused("conflict", key);
    }
    await retireNode(resource, ports);
    version = undefined;
  }
  await datastore.delete(key, version);
  for (const companion of companions) {
    await datastore.delete(companion).catch((error: unknown) => {
      if (!isDatastoreError(error, "not-found")) throw error;
    });
  }
}

async function retirePool(
  pool: IPPool,
  version: string | undefined,
  ports: StorePorts,
): Promise<void> {
  const { datastore, clock } = ports;
  if (pool.spec.disabled !== true || version !== undefined) {
    const metadata =
      version === undefined ? pool.metadata : { ...pool.metadata, resourceVersion: version };
    await datastore.update<"IPPool">({ ...pool, metadata, spec: { ...pool.spec, disabled: true } });
  }
  await clock.sleep(poolSettleMs, new AbortController().signal);
  const { Ipam } = await import("../ipam/ipam.ts");
  await new Ipam(ports).releaseAffinities({ pool: parsePrefix(pool.spec.cidr) });
}

async function create(resource: AnyResource, { datastore }: StorePorts): Promise<void> {
  await checkCreate(resource, datastore);
  const {
    uid: _uid,
    creationTimestamp: _time,
    resourceVersion: _version,
    ...metadata
  } = resource.metadata;
  await datastore.create<Kind>({ ...resource, metadata } as AnyResource);
}

async function createIfMissing(resource: AnyResource, ports: StorePorts): Promise<void> {
  try {
    await create(resource, ports);
  } catch (error) {
    if (!isDatastoreError(error, "already-exists")) throw error;
  }
}

/** Replaces what there is. A version in `resource` must be the present one. */
async function update(resource: AnyResource, { datastore }: StorePorts): Promise<void> {
  const previous: AnyResource = await datastore.get<Kind>(keyOf(resource));
  await checkUpdate(resource, previous, datastore);
  await datastore.update<Kind>(successor(resource, previous));
}

/** The new object with what only the datastore and daemons know of the old one. */
function successor(resource: AnyResource, previous: AnyResource): AnyResource {
  const { uid, creationTimestamp, resourceVersion, finalizers } = previous.metadata;
  const metadata: Metadata = {
    ...(finalizers === undefined ? {} : { finalizers }),
    ...resource.metadata,
    ...(uid === undefined ? {} : { uid }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(resource.metadata.resourceVersion === undefined
      ? {}
      : { resourceVersion: resource.metadata.resourceVersion }),
  };
  const status = resource.status ?? previous.status;
  return { ...resource, metadata, ...(status === undefined ? {} : { status }) } as AnyResource;
}

/** Writes again when somebody else wrote in between, unless the user insists on a version. */
async function persistently(resource: AnyResource, write: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await write();
      return;
    } catch (error) {
      const isRace =
        isDatastoreError(error, "conflict") || isDatastoreError(error, "already-exists");
      const insists = resource.metadata.resourceVersion !== undefined;
      if (!isRace || insists || attempt === maxAttempts) throw error;
    }
  }
}
