import { calicoApiVersion } from "../api/meta.ts";
import type { AnyResource } from "../api/resource-of-kind.ts";
import { type Datastore, isDatastoreError } from "../datastore/datastore.ts";
import { groupBy } from "../lib/collections.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import type { Arguments } from "./arguments.ts";
import { firstOf } from "./edit.ts";
import type { ColumnContext } from "./output/columns.ts";
import { type Format, formatColumns, parseFormat, rowOf } from "./output/format.ts";
import { jsonText, yamlText } from "./output/serialize.ts";
import { tableText } from "./output/table.ts";
import {
  endsCommand,
  itemsOfFiles,
  objectError,
  type Target,
  targetOfItem,
  targetOfName,
  viewOfArgument,
} from "./targets.ts";
import { fileOptions, type Verb, type VerbContext } from "./verb.ts";
import type { View } from "./views.ts";
import { watchView } from "./watch.ts";

export const getVerb: Verb = {
  summary: "show resources",
  usage: [
    "KIND [NAME...] [-n NAMESPACE | -A] [-o FORMAT] [-w] [--export]",
    "-f FILE... [-R] [-o FORMAT]",
  ],
  examples: [
    "tortie get ippool -o wide",
    "tortie get networkpolicy -A",
    "tortie get knp allow-web -n shop -o yaml",
    "tortie get nodes -o custom-columns=NAME,ADDRESS:.spec.bgp.ipv4Address",
  ],
  options: {
    output: {
      short: "o",
      value: "FORMAT",
      help: "ps (default), wide, yaml, json, custom-columns=NAME,HEADING:.path",
    },
    "all-namespaces": { short: "A", help: "of every namespace" },
    a: { short: "a" },
    watch: { short: "w", help: "go on to show changes, until interrupted" },
    export: { help: "without what belongs to this cluster, for named resources" },
    ...fileOptions,
  },
  run: async (given, context) => {
    const args = withHiddenAlias(given);
    const format = parseFormat(args.value("output") ?? "ps");
    if (args.has("namespace") && args.has("all-namespaces")) {
      throw new InputError("Cannot accept both -n and -A");
    }
    if (args.has("filename")) {
      const targets = (await itemsOfFiles(args, context.io)).map(targetOfItem);
      return showTargets(targets, { format, args }, context);
    }
    const [word, ...names] = args.words;
    const view = viewOfArgument(word, args);
    if (names.length === 0) return showAll(view, { format, args }, context);
    if (args.has("watch")) throw new InputError("Cannot watch single names: leave them out");
    const targets = names.map((name) => targetOfName(view, name, args.value("namespace")));
    return showTargets(targets, { format, args }, context);
  },
};

interface Request {
  readonly format: Format;
  readonly args: Arguments;
}

interface Found {
  readonly view: View;
  readonly resource: AnyResource;
}

async function showAll(view: View, request: Request, context: VerbContext): Promise<number> {
  const datastore = await context.datastore();
  const namespace = listNamespace(view, request.args);
  const options = namespace === undefined ? {} : { namespace };
  const { items, revision } = await datastore.list(view.stored, options);
  const resources = (items as readonly AnyResource[]).filter((item) => view.show(item));
  const columnContext = await contextOf([view], datastore);
  if (request.args.has("watch")) {
    const { format } = request;
    const start = { resources, revision, namespace };
    const signal = context.interrupted();
    await watchView(view, start, { format, columnContext, datastore, signal, io: context.io });
    return 0;
  }
  const { format } = request;
  if (format.kind === "yaml" || format.kind === "json") {
    const shown = resources.map((resource) => view.show(resource));
    context.io.stdout.write(await documentText(format.kind, listOf(view, shown, revision)));
  } else {
    const columns = formatColumns(format, view, namespace === undefined);
    const rows = resources.map((resource) => rowOf(resource, columns, columnContext));
    context.io.stdout.write(tableText([columns.map(({ heading }) => heading), ...rows]));
  }
  return 0;
}

/** Each of the objects; those that cannot be had are told of after the rest (facts 7.3). */
async function showTargets(
  targets: readonly Target[],
  request: Request,
  context: VerbContext,
): Promise<number> {
  const datastore = await context.datastore();
  const found: Found[] = [];
  const errors: unknown[] = [];
  for (const { view, as, keys } of targets) {
    try {
      found.push({ view, resource: await firstOf(keys, { datastore }) });
    } catch (error) {
      errors.push(objectError("get", as, error));
      if (endsCommand(error)) break;
    }
  }
  if (found.length > 0) {
    context.io.stdout.write(await foundText(found, request, datastore));
  }
  for (const error of errors) context.io.stderr.write(`${errorMessage(error)}\n`);
  return errors.length === 0 ? 0 : 1;
}

async function foundText(found: Found[], request: Request, datastore: Datastore): Promise<string> {
  const { format, args } = request;
  if (format.kind === "yaml" || format.kind === "json") {
    const objects = found.map(({ view, resource }) => view.show(resource) ?? resource);
    const shown = args.has("export") ? objects.map(exported) : objects;
    return documentText(format.kind, shown.length === 1 ? shown[0] : shown);
  }
  const columnContext = await contextOf(
    found.map(({ view }) => view),
    datastore,
  );
  const tables = [...groupBy(found, ({ view }) => view.table).values()].map((group) => {
    const view = group[0]?.view;
    if (view === undefined) return "";
    const columns = formatColumns(format, view, args.has("all-namespaces"));
    const rows = group.map(({ resource }) => rowOf(resource, columns, columnContext));
    return tableText([columns.map(({ heading }) => heading), ...rows]);
  });
  return tables.join("\n");
}

async function contextOf(views: readonly View[], datastore: Datastore): Promise<ColumnContext> {
  if (!views.some(({ table }) => table === "Node")) return { globalAsNumber: "64512" };
  try {
    const { spec } = await datastore.get({ kind: "BGPConfiguration", name: "default" });
    return { globalAsNumber: String(spec.asNumber ?? 64512) };
  } catch (error) {
    if (isDatastoreError(error, "not-found")) return { globalAsNumber: "64512" };
    throw error;
  }
}

function listNamespace(view: View, args: Arguments): string | undefined {
  if (!view.namespaced || args.has("all-namespaces")) return undefined;
  return args.value("namespace") ?? "default";
}

/** A list that `apply` takes back. Kubernetes' form and ours together are a plain List. */
function listOf(view: View, items: readonly unknown[], resourceVersion: string): unknown {
  const isOurs = items.every(
    (item) => (item as { apiVersion?: string }).apiVersion === calicoApiVersion,
  );
  const metadata = { resourceVersion };
  if (!isOurs) return { apiVersion: "v1", kind: "List", metadata, items };
  return { apiVersion: calicoApiVersion, kind: `${view.stored}List`, metadata, items };
}

/** What a datastore puts into metadata, or another one would not know. */
const clusterFields = new Set(["namespace", "uid", "resourceVersion", "creationTimestamp"]);

function exported(object: { readonly metadata: object }): object {
  const kept = Object.entries(object.metadata).filter(([field]) => !clusterFields.has(field));
  return { ...object, metadata: Object.fromEntries(kept) };
}

function documentText(kind: "yaml" | "json", value: unknown): string | Promise<string> {
  return kind === "json" ? jsonText(value) : yamlText(value);
}

/** calicoctl has always taken -a for -A. */
function withHiddenAlias(args: Arguments): Arguments {
  return {
    ...args,
    has: (option) => args.has(option) || (option === "all-namespaces" && args.has("a")),
  };
}
