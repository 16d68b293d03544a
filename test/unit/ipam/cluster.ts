import assert from "node:assert/strict";
import { calicoApiVersion } from "../../../src/api/meta.ts";
import type { IPPool, IPPoolSpec } from "../../../src/api/resources/ip-pool.ts";
import type { IPAMConfigurationSpec } from "../../../src/api/resources/ipam.ts";
import type { Datastore } from "../../../src/datastore/datastore.ts";
import { countAddresses, normalizeBlock, ownerOf } from "../../../src/ipam/block.ts";
import { Ipam } from "../../../src/ipam/ipam.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { type Prefix, prefixSize } from "../../../src/lib/prefix.ts";

export function pool(name: string, spec: IPPoolSpec): IPPool {
  return { apiVersion: calicoApiVersion, kind: "IPPool", metadata: { name }, spec };
}

/** Creates the pools, the configuration and a Node with labels for each name. */
export async function createCluster(
  datastore: Datastore,
  cluster: {
    readonly pools: readonly IPPool[];
    readonly config?: IPAMConfigurationSpec;
    readonly nodes?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  },
): Promise<void> {
  for (const each of cluster.pools) await datastore.create<"IPPool">(each);
  if (cluster.config !== undefined) {
    await datastore.create<"IPAMConfiguration">({
      apiVersion: calicoApiVersion,
      kind: "IPAMConfiguration",
      metadata: { name: "default" },
      spec: cluster.config,
    });
  }
  for (const [name, labels] of Object.entries(cluster.nodes ?? {})) {
    await datastore.create<"Node">({
      apiVersion: calicoApiVersion,
      kind: "Node",
      metadata: { name, labels },
      spec: {},
    });
  }
}

/** An Ipam with its own process' view of the datastore. `ahead` moves its clock. */
export function ipamOn(datastore: Datastore, ahead: { ms: number } = { ms: 0 }): Ipam {
  const clock = { ...systemClock, date: () => new Date(Date.now() + ahead.ms) };
  return new Ipam({ datastore, clock, random: Math.random });
}

/** Every address in use, by handle, as the blocks say. */
export async function inUse(datastore: Datastore): Promise<Map<string, string>> {
  const addresses = new Map<string, string>();
  for (const { spec } of (await datastore.list("IPAMBlock")).items) {
    spec.allocations.forEach((_, ordinal) => {
      const owner = ownerOf(spec, ordinal);
      if (owner !== undefined && owner.releasedAt === undefined) {
        addresses.set(`${spec.cidr}#${ordinal}`, owner.handle_id ?? "");
      }
    });
  }
  return addresses;
}

/**
 * What must hold at every moment: each block is whole, and no handle counts fewer addresses than it
 * has. With `exact` (no crash, nothing under way) handles count exactly, and affinities agree.
 */
export async function checkInvariants(
  datastore: Datastore,
  options: { readonly exact: boolean },
): Promise<void> {
  const held = new Map<string, number>();
  for (const { spec: stored } of (await datastore.list("IPAMBlock")).items) {
    const spec = normalizeBlock(stored);
    const counts = countAddresses(spec);
    assert.equal(
      BigInt(counts.free + counts.inUse + counts.cooling),
      prefixSize(spec.cidr as Prefix),
    );
    assert.equal(new Set(spec.unallocated).size, counts.free);
    spec.allocations.forEach((_, ordinal) => {
      const owner = ownerOf(spec, ordinal);
      if (owner === undefined || owner.releasedAt !== undefined) return;
      const key = `${owner.handle_id} ${spec.cidr}`;
      held.set(key, (held.get(key) ?? 0) + 1);
    });
  }
  const counted = new Map<string, number>();
  for (const { spec } of (await datastore.list("IPAMHandle")).items) {
    for (const [cidr, count] of Object.entries(spec.block)) {
      counted.set(`${spec.handleID} ${cidr}`, count);
    }
  }
  for (const [key, count] of held) assert.ok((counted.get(key) ?? 0) >= count, `${key} is lost`);
  if (!options.exact) return;
  assert.deepEqual(Object.fromEntries(counted), Object.fromEntries(held));
  await checkAffinities(datastore);
}

async function checkAffinities(datastore: Datastore): Promise<void> {
  const { items: blocks } = await datastore.list("IPAMBlock");
  const { items: affinities } = await datastore.list("BlockAffinity");
  const ofBlocks = blocks.flatMap(({ spec }) =>
    spec.affinity === undefined ? [] : [`${spec.affinity} ${spec.cidr} confirmed`],
  );
  const ofAffinities = affinities.map(
    ({ spec }) => `${spec.type ?? "host"}:${spec.node} ${spec.cidr} ${spec.state}`,
  );
  assert.deepEqual(ofAffinities.sort(), ofBlocks.sort());
}
