import { type ManifestItem, readManifest, type WrittenAs } from "../api/manifest.ts";
import type { ResourceKey } from "../api/resource-key.ts";
import { DatastoreError, isDatastoreError } from "../datastore/datastore.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { Arguments } from "./arguments.ts";
import { readDocuments } from "./documents.ts";
import type { CommandIo } from "./io.ts";
import { titleOf, type View, viewOfItem, viewOfWord, viewWords } from "./views.ts";

/** One object that a command line names. */
export interface Target {
  readonly view: View;
  readonly as: WrittenAs;
  readonly keys: readonly ResourceKey[];
  readonly resourceVersion?: string;
}

/**
 * The objects of the files of -f.
 *
 * @throws {InputError} that names the file, when one cannot be read or is no manifest at all.
 */
export async function itemsOfFiles(args: Arguments, io: CommandIo): Promise<ManifestItem[]> {
  const namespace = args.value("namespace");
  const items: ManifestItem[] = [];
  for (const filename of args.values("filename")) {
    const options = { recursive: args.has("recursive"), skipEmpty: args.has("skip-empty") };
    for (const { source, value } of await readDocuments(filename, options, io)) {
      try {
        items.push(...readManifest(value, namespace === undefined ? {} : { namespace }));
      } catch (error) {
        if (error instanceof InputError) throw new InputError(`${source}: ${error.message}`);
        throw error;
      }
    }
  }
  return items;
}

/** The object of a manifest by its key. */
export function targetOfItem(item: ManifestItem): Target {
  const view = viewOfItem(item);
  const version = item.resources[0]?.metadata.resourceVersion;
  return {
    view,
    as: item.as,
    keys: view.keys(item.as.name, item.as.namespace),
    ...(version === undefined ? {} : { resourceVersion: version }),
  };
}

/** The object of this name. A namespaced one is of "default" unless -n says otherwise. */
export function targetOfName(view: View, name: string, namespace: string | undefined): Target {
  if (name === "") throw new InputError(`Cannot accept an empty name of ${view.kind}`);
  const place = view.namespaced ? { namespace: namespace ?? "default" } : {};
  return { view, as: { kind: view.kind, name, ...place }, keys: view.keys(name, namespace) };
}

/**
 * The view that the word KIND names.
 *
 * @throws {InputError} when there is none, or -n is given and it is not namespaced.
 */
export function viewOfArgument(word: string | undefined, args: Arguments): View {
  if (word === undefined) throw new InputError("Cannot go on without -f FILE or KIND");
  const view = viewOfWord(word);
  if (view === undefined) {
    throw new InputError(
      `Cannot accept kind "${word}": it must be one of ${viewWords().join(", ")}`,
    );
  }
  if (!view.namespaced && (args.has("namespace") || args.has("all-namespaces"))) {
    throw new InputError(`Cannot accept -n or -A: ${view.kind} is not namespaced`);
  }
  return view;
}

/** @throws {InputError} when only IPAM may write objects of this kind. */
export function requireWritable(verb: string, { view, as }: Pick<Target, "view" | "as">): void {
  if (!view.internal) return;
  throw new InputError(`Cannot ${verb} ${titleOf(as)}: only IPAM writes objects of this kind`);
}

/** An error of the datastore in words about the object that the user named; any other as it is. */
export function objectError(verb: string, as: WrittenAs, error: unknown): unknown {
  if (!(error instanceof DatastoreError)) return error;
  if (error.code === "unavailable") return datastoreAway(error);
  const title = `Cannot ${verb} ${titleOf(as)}`;
  switch (error.code) {
    case "not-found":
      return new InputError(`${title}: it does not exist`);
    case "already-exists":
      return new InputError(`${title}: it exists already`);
    case "conflict":
      return new InputError(`${title}: it was changed since its resourceVersion was read`);
    default:
      return new InputError(`${title}: ${errorMessage(error)}`, { cause: error });
  }
}

/** The error of a datastore that does not answer, which is not about an object. */
export function datastoreAway(cause: Error): InputError {
  return new InputError(`Cannot reach the datastore: ${cause.message}`, { cause });
}

/** True when no further object can be handled either. */
export function endsCommand(error: unknown): boolean {
  return isDatastoreError(error, "unavailable");
}
