import { keyOf, keyText } from "../api/resource-key.ts";
import type { AnyResource } from "../api/resource-of-kind.ts";
import type { Datastore, WatchEvent } from "../datastore/datastore.ts";
import { stringifyBigJson } from "../lib/big-json.ts";
import type { CommandIo } from "./io.ts";
import type { Column, ColumnContext } from "./output/columns.ts";
import { type Format, formatColumns, rowOf } from "./output/format.ts";
import { yamlText } from "./output/serialize.ts";
import { rowText, widthsOf } from "./output/table.ts";
import type { View } from "./views.ts";

export interface WatchPorts {
  readonly format: Format;
  readonly columnContext: ColumnContext;
  readonly datastore: Datastore;
  readonly signal: AbortSignal;
  readonly io: CommandIo;
}

type EventName = "ADDED" | "MODIFIED" | "DELETED";

/** Prints one event; a deleted object is shown as it was last. */
type Printer = (event: EventName, resource: AnyResource) => Promise<void> | void;

/**
 * Prints what there is, then every change of it, until the signal aborts: rows of a table with the
 * event before them, or as JSON one `{"type", "object"}` a line, as Kubernetes does.
 *
 * @throws {DatastoreError} unavailable, compacted
 */
export async function watchView(
  view: View,
  start: {
    readonly resources: readonly AnyResource[];
    readonly revision: string;
    readonly namespace: string | undefined;
  },
  ports: WatchPorts,
): Promise<void> {
  const print = printerOf(view, start, ports);
  const known = new Map<string, AnyResource>();
  for (const resource of start.resources) {
    known.set(keyText(keyOf(resource)), resource);
    await print("ADDED", resource);
  }
  const { datastore, signal } = ports;
  for await (const event of datastore.watch([view.stored], start.revision, signal)) {
    if (event.kind === "progress") continue;
    const { namespace } = event.key;
    if (start.namespace !== undefined && namespace !== start.namespace) continue;
    await follow(event, view, known, print);
  }
}

async function follow(
  event: Exclude<WatchEvent, { kind: "progress" }>,
  view: View,
  known: Map<string, AnyResource>,
  print: Printer,
): Promise<void> {
  const key = keyText(event.key);
  const before = known.get(key);
  if (event.kind === "set" && view.show(event.resource) !== undefined) {
    known.set(key, event.resource);
    await print(before === undefined ? "ADDED" : "MODIFIED", event.resource);
  } else if (before !== undefined) {
    known.delete(key);
    await print("DELETED", before);
  }
}

function printerOf(
  view: View,
  start: { readonly resources: readonly AnyResource[]; readonly namespace: string | undefined },
  { format, columnContext, io }: WatchPorts,
): Printer {
  if (format.kind === "json") {
    return (event, resource) => {
      io.stdout.write(`${stringifyBigJson({ type: event, object: view.show(resource) })}\n`);
    };
  }
  if (format.kind === "yaml") {
    return async (event, resource) => {
      io.stdout.write(`---\n# ${event}\n${await yamlText(view.show(resource))}`);
    };
  }
  const columns: readonly Column[] = formatColumns(format, view, start.namespace === undefined);
  const heading = ["EVENT", ...columns.map((column) => column.heading)];
  const rows = start.resources.map((resource) => rowOf(resource, columns, columnContext));
  const widths = widthsOf([heading, ["MODIFIED"], ...rows.map((row) => ["", ...row])]);
  io.stdout.write(rowText(heading, widths));
  return (event, resource) => {
    io.stdout.write(rowText([event, ...rowOf(resource, columns, columnContext)], widths));
  };
}
