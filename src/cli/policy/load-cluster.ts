import { fixedTiers } from "../../api/defaults.ts";
import { readManifest } from "../../api/manifest.ts";
import { calicoApiVersion } from "../../api/meta.ts";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import { InputError } from "../../lib/errors.ts";
import { policyKinds } from "../../policy/cluster.ts";
import type { Arguments } from "../arguments.ts";
import { readDocuments } from "../documents.ts";
import type { VerbContext } from "../verb.ts";

/** The resources of a cluster, and where they were written. */
export interface Loaded {
  readonly resources: readonly AnyResource[];
  /** "policy.yaml, document 2", of resources of files. */
  readonly sources: ReadonlyMap<AnyResource, string>;
}

/** The cluster of the files of `option`, or without them that of the datastore. */
export async function loadCluster(
  option: "filename" | "cluster",
  args: Arguments,
  context: VerbContext,
): Promise<Loaded> {
  if (!args.has(option)) {
    const datastore = await context.datastore();
    const lists = await Promise.all(policyKinds.map((kind) => datastore.list(kind)));
    return { resources: lists.flatMap(({ items }) => items), sources: new Map() };
  }
  const loaded = await loadFiles(args.values(option), args, context);
  return { ...loaded, resources: withFixedTiers(loaded.resources) };
}

/**
 * The resources of manifests, a later one in the place of an earlier one of its kind and name.
 *
 * @throws {InputError} for one that cannot be accepted.
 */
export async function loadFiles(
  files: readonly string[],
  args: Arguments,
  { io }: Pick<VerbContext, "io">,
): Promise<Loaded> {
  const namespace = args.value("namespace");
  const sources = new Map<AnyResource, string>();
  const byKey = new Map<string, AnyResource>();
  for (const file of files) {
    const options = { recursive: args.has("recursive"), skipEmpty: false };
    for (const { source, value } of await readDocuments(file, options, io)) {
      for (const resource of resourcesOf(value, source, namespace)) {
        sources.set(resource, source);
        byKey.set(keyText(keyOf(resource)), resource);
      }
    }
  }
  return { resources: [...byKey.values()], sources };
}

function resourcesOf(value: unknown, source: string, namespace: string | undefined): AnyResource[] {
  try {
    const items = readManifest(value, namespace === undefined ? {} : { namespace });
    return items.flatMap(({ resources, problem }) => {
      if (problem !== undefined) throw problem;
      return resources;
    });
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${source}: ${error.message}`);
    throw error;
  }
}

/** Tiers that every cluster has, whatever its manifests say. */
function withFixedTiers(resources: readonly AnyResource[]): AnyResource[] {
  const there = new Set(
    resources.filter(({ kind }) => kind === "Tier").map(({ metadata }) => metadata.name),
  );
  const missing = Object.entries(fixedTiers).filter(([name]) => !there.has(name));
  return [
    ...resources,
    ...missing.map(([name, spec]) => ({
      apiVersion: calicoApiVersion,
      kind: "Tier" as const,
      metadata: { name },
      spec,
    })),
  ];
}
