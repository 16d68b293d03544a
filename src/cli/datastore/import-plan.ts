import { isDeepStrictEqual } from "node:util";
import { namespaceProfilePrefix } from "../../api/kubernetes/namespace.ts";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import type { ClusterInformation } from "../../api/resources/cluster-information.ts";
import type { Node } from "../../api/resources/node.ts";
import { titleOf } from "../../api/validate.ts";
import { locks } from "../../datastore/cluster-lock.ts";
import { InputError } from "../../lib/errors.ts";
import { isKeptByKubernetes } from "./migrated-kinds.ts";
import { listText, type Migration } from "./migration-file.ts";

/** What the datastore holds before an import. */
export interface Present {
  readonly cluster: ClusterInformation | undefined;
  readonly resources: readonly AnyResource[];
}

export interface ImportPlan {
  /** The lock with the file's other fields: written first. */
  readonly cluster: ClusterInformation;
  readonly create: readonly AnyResource[];
  /** Their fields are added to the nodes that Kubernetes has. */
  readonly nodes: readonly Node[];
  /** An earlier import of the same file has written them. */
  readonly done: number;
  /** Kubernetes has its own. */
  readonly passedOver: readonly AnyResource[];
}

/**
 * What an import must write. Pure. The datastore must be empty, or locked with nothing in it but what
 * an earlier import of the same file wrote before it was cut off.
 *
 * @throws {InputError}
 */
export function planImport(
  { cluster, resources }: Migration,
  present: Present,
  options: { readonly kubernetes: boolean },
): ImportPlan {
  if (present.cluster !== undefined && !locks(present.cluster)) {
    throw new InputError(
      "Cannot import: the datastore is in use. Import into an empty one, or into one that is locked",
    );
  }
  const isCreated = (resource: AnyResource) =>
    !options.kubernetes || (resource.kind !== "Node" && !isKeptByKubernetes(resource));
  const wanted = resources.filter(isCreated);
  const there = new Map(
    present.resources
      .filter(isCreated)
      .map((resource) => [keyText(keyOf(resource)), comparable(resource)]),
  );
  const isDone = (resource: AnyResource) =>
    isDeepStrictEqual(there.get(keyText(keyOf(resource))), comparable(resource));
  const create = wanted.filter((resource) => !isDone(resource));
  checkRoom(wanted, create, there);
  if (options.kubernetes) checkNamespaces(wanted, present.resources);
  const nodes = options.kubernetes ? resources.filter((resource) => resource.kind === "Node") : [];
  checkNodeNames(nodes);
  return {
    cluster: { ...cluster, spec: { ...cluster.spec, datastoreReady: false } },
    create: options.kubernetes ? create.map(withoutOwners) : create,
    nodes,
    done: wanted.length - create.length,
    passedOver: options.kubernetes ? resources.filter(isKeptByKubernetes) : [],
  };
}

function checkRoom(
  wanted: readonly AnyResource[],
  create: readonly AnyResource[],
  there: ReadonlyMap<string, unknown>,
): void {
  const known = new Set(wanted.map((resource) => keyText(keyOf(resource))));
  const strange = [...there.keys()].filter((text) => !known.has(text));
  const different = create
    .map((resource) => keyText(keyOf(resource)))
    .filter((text) => there.has(text));
  if (strange.length + different.length === 0) return;
  const found = [
    ...different.map((text) => `another ${text}`),
    ...strange.map((text) => `${text}, which the file has not`),
  ];
  throw new InputError(
    `Cannot import: the datastore is not empty: it has ${listText(found)}. Nothing was written`,
  );
}

/** A Kubernetes cluster has a profile of each of its namespaces. */
function checkNamespaces(wanted: readonly AnyResource[], present: readonly AnyResource[]): void {
  const profiles = present.filter(({ kind }) => kind === "Profile");
  const known = new Set(profiles.map(({ metadata }) => metadata.name));
  const homeless = wanted.flatMap((resource) => {
    const { namespace } = resource.metadata;
    if (namespace === undefined || known.has(namespaceProfilePrefix + namespace)) return [];
    return [`"${namespace}" of ${titleOf(resource)}`];
  });
  if (homeless.length === 0) return;
  throw new InputError(
    `Cannot import: Kubernetes has no namespace ${listText(homeless)}. Nothing was written`,
  );
}

/** IPAM's objects name nodes: they would be those of nobody. */
function checkNodeNames(nodes: readonly Node[]): void {
  for (const { metadata, spec } of nodes) {
    const reference = spec.orchRefs?.find(({ orchestrator }) => orchestrator === "k8s");
    const name = reference?.nodeName ?? metadata.name;
    if (name === metadata.name) continue;
    throw new InputError(
      `Cannot import Node "${metadata.name}" into Kubernetes, which calls it "${name}" (spec.orchRefs): tortie does not rename nodes`,
    );
  }
}

/** Owners have new UIDs here: Kubernetes would delete what belongs to nobody. */
function withoutOwners(resource: AnyResource): AnyResource {
  const kept = Object.entries(resource.metadata).filter(([field]) => field !== "ownerReferences");
  return { ...resource, metadata: Object.fromEntries(kept) } as unknown as AnyResource;
}

/** What two datastores say alike of one object, whatever each leaves out when it says nothing. */
function comparable(resource: AnyResource): object {
  const { kind, metadata, spec } = resource;
  const { labels = {}, annotations = {} } = metadata;
  const isIpam = kind === "IPAMBlock" || kind === "IPAMHandle" || kind === "BlockAffinity";
  const said = Object.entries(spec ?? {}).filter(
    ([field, value]) =>
      value !== undefined && !(isIpam && silentFields.has(field) && value === false),
  );
  return { title: titleOf(resource), labels, annotations, spec: Object.fromEntries(said) };
}

const silentFields: ReadonlySet<string> = new Set(["deleted", "strictAffinity"]);
