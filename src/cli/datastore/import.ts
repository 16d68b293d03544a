import { keyOf, keyText } from "../../api/resource-key.ts";
import type { AnyResource, Kind } from "../../api/resource-of-kind.ts";
import type { ClusterInformation } from "../../api/resources/cluster-information.ts";
import type { Node } from "../../api/resources/node.ts";
import { clusterInformationKey } from "../../datastore/cluster-lock.ts";
import { type Datastore, isDatastoreError } from "../../datastore/datastore.ts";
import { rewrite } from "../../datastore/rewrite.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import { liveObjects } from "./export.ts";
import type { ImportPlan, Present } from "./import-plan.ts";
import { migratedKinds } from "./migrated-kinds.ts";
import { withoutIdentity } from "./migration-file.ts";

/** Writes that are under way at once. */
const writers = 16;

/** What the datastore holds of what is migrated. */
export async function readPresent(datastore: Datastore): Promise<Present> {
  const cluster = await datastore.get(clusterInformationKey).catch((error: unknown) => {
    if (isDatastoreError(error, "not-found")) return undefined;
    throw error;
  });
  const resources: AnyResource[] = [];
  for (const kind of migratedKinds) resources.push(...(await liveObjects(datastore, kind)));
  return { cluster, resources: resources.map((resource) => withoutIdentity(resource)) };
}

/**
 * Carries the plan out: the lock first, so that nobody acts on half of it.
 *
 * @returns the nodes that Kubernetes does not have: nothing could be written of them.
 * @throws {InputError} that says how far it came. The same import again goes on from there.
 */
export async function carryOutImport(
  plan: ImportPlan,
  datastore: Datastore,
  onProgress: (written: number) => void,
): Promise<readonly Node[]> {
  let written = 0;
  const missing: Node[] = [];
  const write = async (resource: AnyResource, act: () => Promise<unknown>) => {
    try {
      await act();
    } catch (cause) {
      const name = keyText(keyOf(resource));
      throw new InputError(`Cannot import ${name}: ${errorMessage(cause)}`, { cause });
    }
    onProgress(++written);
  };
  try {
    await write(plan.cluster, () => writeCluster(plan.cluster, datastore));
    await forEach(plan.nodes, (node) =>
      write(node, async () => {
        if (!(await mergeNode(node, datastore))) missing.push(node);
      }),
    );
    await forEach(plan.create, (resource) =>
      write(resource, () => datastore.create<Kind>(resource)),
    );
  } catch (error) {
    if (written === 0) throw error;
    const total = plan.create.length + plan.nodes.length + 1;
    throw new InputError(
      `${errorMessage(error)}. ${written} of ${total} objects are written, the datastore is locked: ` +
        "import the same file again to go on",
      { cause: error },
    );
  }
  return missing;
}

async function writeCluster(cluster: ClusterInformation, datastore: Datastore): Promise<void> {
  try {
    await rewrite(datastore, clusterInformationKey, (present) => ({
      ...present,
      spec: cluster.spec,
    }));
  } catch (error) {
    if (!isDatastoreError(error, "not-found")) throw error;
    await datastore.create<"ClusterInformation">(cluster);
  }
}

/** Adds our fields to the node that Kubernetes has. @returns false when it has none. */
async function mergeNode(node: Node, datastore: Datastore): Promise<boolean> {
  const { name, labels, annotations } = node.metadata;
  try {
    await rewrite(datastore, { kind: "Node", name }, (present) => ({
      ...present,
      metadata: {
        ...present.metadata,
        labels: { ...labels, ...present.metadata.labels },
        annotations: { ...annotations, ...present.metadata.annotations },
      },
      spec: { ...present.spec, ...node.spec },
      status: { ...present.status, ...node.status },
    }));
    return true;
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return false;
    throw error;
  }
}

/** Several at once; after a failure none is begun, and the first is thrown when all have ended. */
async function forEach<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const failures: unknown[] = [];
  const worker = async () => {
    for (const item of rest) {
      if (failures.length > 0) return;
      await act(item).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: writers }, worker));
  if (failures.length > 0) throw failures[0];
}
