import { fixedTiers } from "../../api/defaults.ts";
import { manifestObjects, readManifest } from "../../api/manifest.ts";
import { calicoApiVersion } from "../../api/meta.ts";
import { keyOf, keyText } from "../../api/resource-key.ts";
import type { AnyResource } from "../../api/resource-of-kind.ts";
import { InputError } from "../../lib/errors.ts";
import { policyKinds } from "../../policy/cluster.ts";
import { withDerived } from "../../policy/derived-resources.ts";
import type { Arguments } from "../arguments.ts";
import { readDocuments } from "../documents.ts";
import type { VerbContext } from "../verb.ts";
import { isPod, kubernetesObject } from "./kubernetes-objects.ts";

/** The resources of a cluster, and where they were written. */
export interface Loaded {
  readonly resources: readonly AnyResource[];
  /** "policy.yaml, document 2", of resources of files. */
  readonly sources: ReadonlyMap<AnyResource, string>;
  /** Endpoints that were made of Pod manifests: a cluster adds to them (derived-resources.ts). */
  readonly pods: ReadonlySet<AnyResource>;
}

/** The cluster of the files of `option`, with what a cluster adds to them, or that of the datastore. */
export async function loadCluster(
  option: "filename" | "cluster",
  args: Arguments,
  context: VerbContext,
): Promise<Loaded> {
  const given = await loadGiven(option, args, context);
  return { ...given, resources: withDerived(given.resources, given.pods) };
}

/** What the files of `option` say, or without them the datastore. */
export async function loadGiven(
  option: "filename" | "cluster",
  args: Arguments,
  context: VerbContext,
): Promise<Loaded> {
  if (!args.has(option)) {
    const datastore = await context.datastore();
    const lists = await Promise.all(policyKinds.map((kind) => datastore.list(kind)));
    return { resources: lists.flatMap(({ items }) => items), sources: new Map(), pods: new Set() };
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
  const pods = new Set<AnyResource>();
  const others = new Map<string, number>();
  for (const file of files) {
    const options = { recursive: args.has("recursive"), skipEmpty: false };
    for (const { source, value } of await readDocuments(file, options, io)) {
      for (const object of manifestObjects(value)) {
        const resources = resourcesOf(object, source, namespace);
        if (resources === "other") {
          countOther(object, others);
          continue;
        }
        for (const resource of resources) {
          sources.set(resource, source);
          byKey.set(keyText(keyOf(resource)), resource);
          if (isPod(object)) pods.add(resource);
        }
      }
    }
  }
  for (const [kind, count] of others) {
    io.stderr.write(`passed over: ${count} of ${kind}, which policy does not look at\n`);
  }
  return { resources: [...byKey.values()], sources, pods };
}

function countOther(object: unknown, others: Map<string, number>): void {
  const { apiVersion, kind } = object as { apiVersion?: unknown; kind?: unknown };
  const name = `${kind} (${apiVersion})`;
  others.set(name, (others.get(name) ?? 0) + 1);
}

function resourcesOf(
  object: unknown,
  source: string,
  namespace: string | undefined,
): readonly AnyResource[] | "other" {
  try {
    const ofKubernetes = kubernetesObject(object, namespace);
    if (ofKubernetes !== undefined) return ofKubernetes;
    const items = readManifest(object, namespace === undefined ? {} : { namespace });
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
