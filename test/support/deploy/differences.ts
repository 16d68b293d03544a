import type { ManifestObject } from "./manifest.ts";

/** A value of an object that is other than in the base: `[path, before, after]`; undefined where there is none. */
export type Difference = readonly [path: string, before: unknown, after: unknown];

/** Where objects differ, by path. What has a name in a list is known by it: the order does not count. */
export function differences(
  base: readonly ManifestObject[],
  other: readonly ManifestObject[],
): Difference[] {
  const before = leavesOf(base);
  const after = leavesOf(other);
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  return paths.flatMap((path) =>
    before.get(path) === after.get(path) ? [] : [[path, before.get(path), after.get(path)]],
  );
}

function leavesOf(objects: readonly ManifestObject[]): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  for (const object of objects) {
    collect(object, `${object.kind} ${object.metadata.name}`, leaves);
  }
  return leaves;
}

function collect(value: unknown, path: string, leaves: Map<string, unknown>): void {
  if (value === null || typeof value !== "object") leaves.set(path, value);
  else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const name = (item as { readonly name?: unknown } | null)?.name;
      collect(item, `${path}[${typeof name === "string" ? name : index}]`, leaves);
    }
  } else {
    for (const [key, item] of Object.entries(value)) collect(item, `${path}.${key}`, leaves);
  }
}
