import type { AnyResource } from "../../api/resource-of-kind.ts";
import { InputError } from "../../lib/errors.ts";
import type { View } from "../views.ts";
import { type Column, type ColumnContext, columnsOf } from "./columns.ts";

/** How `get` prints. */
export type Format =
  | { readonly kind: "yaml" }
  | { readonly kind: "json" }
  | { readonly kind: "table"; readonly columns: "ps" | "wide" }
  | { readonly kind: "custom"; readonly columns: readonly string[] };

const customPrefix = "custom-columns=";

/** @throws {InputError} when `text` is no format. */
export function parseFormat(text: string): Format {
  if (text === "yaml" || text === "json") return { kind: text };
  if (text === "ps" || text === "wide") return { kind: "table", columns: text };
  if (text.startsWith(customPrefix)) {
    const columns = text.slice(customPrefix.length).split(",");
    if (columns.every((column) => column !== "")) return { kind: "custom", columns };
  }
  throw new InputError(
    `Cannot accept --output "${text}": it must be ps, wide, yaml, json or custom-columns=A,B`,
  );
}

/**
 * The columns that a format asks for, of objects of one view.
 *
 * @throws {InputError} for a custom column that there is not.
 */
export function formatColumns(
  format: Exclude<Format, { readonly kind: "yaml" } | { readonly kind: "json" }>,
  view: View,
  withNamespace: boolean,
): readonly Column[] {
  const known = columnsOf(view);
  const name: Column = { heading: "NAME", value: (resource) => nameOf(resource, view) };
  const namespace: Column = {
    heading: "NAMESPACE",
    value: ({ metadata }) => metadata.namespace ?? "",
  };
  if (format.kind === "table") {
    const first = withNamespace && view.namespaced ? [namespace] : [];
    return [...first, name, ...known[format.columns]];
  }
  const choice = [name, ...(view.namespaced ? [namespace] : []), ...known.wide, ...known.ps];
  return format.columns.map((wanted) => customColumn(wanted, choice, view));
}

/** The cells of an object. */
export function rowOf(
  resource: AnyResource,
  columns: readonly Column[],
  context: ColumnContext,
): readonly string[] {
  return columns.map((column) => column.value(resource, context));
}

/** Name that the object's author gave it. */
export function nameOf(resource: AnyResource, view: View): string {
  return view.show(resource)?.metadata.name ?? resource.metadata.name;
}

/** "CIDR", a column of the table; or "HEADING:.path.to[0].field" of the object. */
function customColumn(wanted: string, choice: readonly Column[], view: View): Column {
  const colon = wanted.indexOf(":");
  if (colon > 0) {
    const steps = pathSteps(wanted.slice(colon + 1));
    return {
      heading: wanted.slice(0, colon),
      value: (resource) => textOf(valueAt(view.show(resource) ?? resource, steps)),
    };
  }
  const column = choice.find(({ heading }) => heading === wanted.toUpperCase());
  if (column !== undefined) return column;
  const headings = [...new Set(choice.map(({ heading }) => heading))].join(", ");
  throw new InputError(
    `Cannot accept custom-columns "${wanted}": ${view.kind} has ${headings}, or write HEADING:.path`,
  );
}

function pathSteps(path: string): readonly string[] {
  const steps = path.match(/[^.[\]]+/g);
  if (steps === null || !/^\.?[^.[\]]+(\.[^.[\]]+|\[[^.[\]]+\])*$/.test(path)) {
    throw new InputError(`Cannot accept custom-columns path "${path}": it must be .field.field[0]`);
  }
  return steps;
}

function valueAt(value: unknown, steps: readonly string[]): unknown {
  let at = value;
  for (const step of steps) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "<none>";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
