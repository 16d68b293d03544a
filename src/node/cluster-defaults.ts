import { calicoApiVersion } from "../api/meta.ts";
import { keyOf, keyText } from "../api/resource-key.ts";
import type { AnyResource, Kind } from "../api/resource-of-kind.ts";
import type { ClusterInformation } from "../api/resources/cluster-information.ts";
import type { Tier, TierSpec } from "../api/resources/policy.ts";
import { type Datastore, isDatastoreError, unlessAbsent } from "../datastore/datastore.ts";
import { groupBy } from "../lib/collections.ts";

export interface ClusterIdentity {
  /** 32 hexadecimal digits. */
  readonly guid: string;
  /** CLUSTER_TYPE: "k8s,bgp". */
  readonly clusterType: string;
  readonly version: string;
}

/** Objects that every cluster has (facts 1.1, "ensure initialised"). */
export function clusterDefaults(identity: ClusterIdentity): AnyResource[] {
  const cluster: ClusterInformation = {
    apiVersion: calicoApiVersion,
    kind: "ClusterInformation",
    metadata: { name: "default" },
    spec: {
      clusterGUID: identity.guid,
      clusterType: identity.clusterType,
      calicoVersion: identity.version,
      datastoreReady: true,
    },
  };
  return [
    cluster,
    tier("default", { order: 1_000_000, defaultAction: "Deny" }),
    tier("kube-admin", { order: 1_000, defaultAction: "Pass" }),
    tier("kube-baseline", { order: 10_000_000, defaultAction: "Pass" }),
    {
      apiVersion: calicoApiVersion,
      kind: "FelixConfiguration",
      metadata: { name: "default" },
      spec: {},
    },
  ];
}

function tier(name: string, spec: TierSpec): Tier {
  return { apiVersion: calicoApiVersion, kind: "Tier", metadata: { name }, spec };
}

/**
 * Creates what is not there. What is there, maybe changed by a person, stays.
 *
 * @returns the objects that were created.
 */
export async function createMissing(
  datastore: Datastore,
  resources: readonly AnyResource[],
): Promise<AnyResource[]> {
  const created: AnyResource[] = [];
  for (const [kind, wanted] of groupBy(resources, (resource) => resource.kind)) {
    const present = await presentOf(datastore, kind, wanted);
    for (const resource of wanted) {
      if (present.has(keyText(keyOf(resource)))) continue;
      try {
        await datastore.create<Kind>(resource);
        created.push(resource);
      } catch (error) {
        // Another node was first.
        if (!isDatastoreError(error, "already-exists")) throw error;
      }
    }
  }
  return created;
}

/** Keys of those that are there: for several, one list is less than to ask for each. */
async function presentOf(
  datastore: Datastore,
  kind: Kind,
  [first, ...others]: readonly AnyResource[],
): Promise<ReadonlySet<string>> {
  const found =
    first === undefined || others.length > 0
      ? (await datastore.list(kind)).items
      : [(await unlessAbsent(datastore.get(keyOf(first)))) ?? []].flat();
  return new Set((found as readonly AnyResource[]).map((resource) => keyText(keyOf(resource))));
}
