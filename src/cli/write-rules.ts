import { fixedTiers } from "../api/defaults.ts";
import type { AnyResource, Kind } from "../api/resource-of-kind.ts";
import type { IPPool } from "../api/resources/ip-pool.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { InputError } from "../lib/errors.ts";
import { type Prefix, parsePrefix, prefixesOverlap, prefixLength } from "../lib/prefix.ts";

/**
 * Rules that hold between objects, or between an object and what it was, which no schema can see
 * (facts 2.3, 2.5). They are looked at before the write: two people at once may still pass both.
 */

const tieredKinds = [
  "GlobalNetworkPolicy",
  "NetworkPolicy",
  "StagedGlobalNetworkPolicy",
  "StagedNetworkPolicy",
] as const;

/** @throws {InputError} when the object may not be created beside what there is. */
export async function checkCreate(resource: AnyResource, datastore: Datastore): Promise<void> {
  if (resource.kind === "IPPool") await checkPoolRoom(resource, datastore);
  await checkTierExists(resource, datastore);
}

/** @throws {InputError} when the object may not become this. */
export async function checkUpdate(
  resource: AnyResource,
  previous: AnyResource,
  datastore: Datastore,
): Promise<void> {
  if (resource.kind === "IPPool" && previous.kind === "IPPool") checkPoolChange(resource, previous);
  await checkTierExists(resource, datastore);
}

/** @throws {InputError} when the object may not be deleted. */
export async function checkDelete(resource: AnyResource, datastore: Datastore): Promise<void> {
  if (resource.kind !== "Tier") return;
  const { name } = resource.metadata;
  if (Object.hasOwn(fixedTiers, name)) {
    throw new InputError(`Cannot delete Tier "${name}": it is built in`);
  }
  const lists = await Promise.all(tieredKinds.map((kind) => datastore.list(kind)));
  const inTier = lists
    .flatMap(({ items }) => items as readonly AnyResource[])
    .filter(({ spec }) => (spec as { tier?: string }).tier === name);
  if (inTier.length === 0) return;
  const [first] = inTier;
  throw new InputError(
    `Cannot delete Tier "${name}": ${inTier.length} policies are in it, such as "${first?.metadata.name}"`,
  );
}

async function checkPoolRoom(pool: IPPool, datastore: Datastore): Promise<void> {
  const cidr = parsePrefix(pool.spec.cidr);
  const title = `Cannot create IPPool "${pool.metadata.name}": spec.cidr`;
  for (const other of (await datastore.list("IPPool")).items) {
    if (other.metadata.name === pool.metadata.name) continue;
    const theirs = prefixOrUndefined(other.spec.cidr);
    if (theirs === undefined || !prefixesOverlap(cidr, theirs)) continue;
    throw new InputError(
      `${title}: overlaps ${theirs} of IPPool "${other.metadata.name}", got "${cidr}"`,
    );
  }
  for (const block of (await datastore.list("IPAMBlock")).items) {
    const theirs = prefixOrUndefined(block.spec.cidr);
    if (theirs === undefined || block.spec.deleted === true) continue;
    if (!prefixesOverlap(cidr, theirs) || prefixLength(theirs) === pool.spec.blockSize) continue;
    throw new InputError(
      `Cannot create IPPool "${pool.metadata.name}": spec.blockSize: conflicts with the existing block ${theirs}, got ${pool.spec.blockSize}`,
    );
  }
}

function checkPoolChange(pool: IPPool, previous: IPPool): void {
  const title = `Cannot change IPPool "${pool.metadata.name}"`;
  const before = prefixOrUndefined(previous.spec.cidr);
  if (before !== undefined && before !== parsePrefix(pool.spec.cidr)) {
    throw new InputError(`${title}: spec.cidr: must stay ${before}, got "${pool.spec.cidr}"`);
  }
  const size = previous.spec.blockSize;
  if (size !== undefined && size !== pool.spec.blockSize) {
    throw new InputError(`${title}: spec.blockSize: must stay ${size}, got ${pool.spec.blockSize}`);
  }
  const wasForBalancers = previous.spec.allowedUses?.includes("LoadBalancer") === true;
  if (wasForBalancers && pool.spec.allowedUses?.includes("LoadBalancer") !== true) {
    throw new InputError(`${title}: spec.allowedUses: must stay LoadBalancer`);
  }
}

async function checkTierExists(resource: AnyResource, datastore: Datastore): Promise<void> {
  if (!(tieredKinds as readonly Kind[]).includes(resource.kind)) return;
  const { tier = "default" } = resource.spec as { readonly tier?: string };
  if (Object.hasOwn(fixedTiers, tier)) return;
  try {
    await datastore.get({ kind: "Tier", name: tier });
  } catch (error) {
    if (!isDatastoreError(error, "not-found")) throw error;
    const title = `${resource.kind} "${resource.metadata.name}"`;
    throw new InputError(`Cannot accept ${title}: spec.tier: there is no Tier "${tier}"`);
  }
}

function prefixOrUndefined(text: string): Prefix | undefined {
  try {
    return parsePrefix(text);
  } catch {
    return undefined;
  }
}
