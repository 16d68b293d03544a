import { isDeepStrictEqual } from "node:util";
import { InputError } from "../lib/errors.ts";

/** The document with a merge patch applied: null removes a field (RFC 7396). */
export function mergePatch(document: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result: Record<string, unknown> = isRecord(document) ? { ...document } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (name === "__proto__") continue;
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

/**
 * The document with a list of operations applied, all or none (RFC 6902).
 *
 * @throws {InputError} that names the operation and why it cannot be done.
 */
export function jsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) throw new InputError("Cannot accept the patch: it must be an array");
  return patch.reduce<unknown>((result, operation, index) => {
    if (!isRecord(operation)) throw failure(index, "is no object");
    return perform(result, operation, index);
  }, structuredClone(document));
}

function perform(document: unknown, operation: Record<string, unknown>, index: number): unknown {
  const at = (field: string) => pointer(operation[field], field, index);
  const value = (): unknown => {
    if (!Object.hasOwn(operation, "value")) throw failure(index, "has no value");
    return structuredClone(operation["value"]);
  };
  switch (operation["op"]) {
    case "add":
      return add(document, at("path"), value(), index);
    case "remove":
      return remove(document, at("path"), index);
    case "replace":
      return add(remove(document, at("path"), index), at("path"), value(), index);
    case "move": {
      const moved = read(document, at("from"), index);
      return add(remove(document, at("from"), index), at("path"), moved, index);
    }
    case "copy":
      return add(document, at("path"), structuredClone(read(document, at("from"), index)), index);
    case "test":
      if (isDeepStrictEqual(read(document, at("path"), index), value())) return document;
      throw failure(index, `finds another value at ${String(operation["path"])}`);
    default:
      throw failure(index, `has no op that there is, got ${JSON.stringify(operation["op"])}`);
  }
}

type Pointer = readonly string[];

function pointer(text: unknown, field: string, index: number): Pointer {
  if (text === "") return [];
  if (typeof text !== "string" || !text.startsWith("/")) {
    throw failure(index, `has no ${field} that begins with "/", got ${JSON.stringify(text)}`);
  }
  return text
    .slice(1)
    .split("/")
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function read(document: unknown, path: Pointer, index: number): unknown {
  let at = document;
  for (const step of path) {
    const isIndex = !Array.isArray(at) || /^(0|[1-9]\d*)$/.test(step);
    const isThere = typeof at === "object" && at !== null && Object.hasOwn(at, step) && isIndex;
    if (!isThere) throw failure(index, `finds nothing at /${path.join("/")}`);
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function add(document: unknown, path: Pointer, value: unknown, index: number): unknown {
  const last = path.at(-1);
  if (last === undefined) return value;
  const parent = read(document, path.slice(0, -1), index);
  if (Array.isArray(parent)) {
    const position = last === "-" ? parent.length : Number(last);
    if (!/^(-|0|[1-9]\d*)$/.test(last) || position > parent.length) {
      throw failure(index, `finds no place ${last} at /${path.join("/")}`);
    }
    parent.splice(position, 0, value);
  } else if (isRecord(parent) && last !== "__proto__") {
    parent[last] = value;
  } else {
    throw failure(index, `finds no object at /${path.slice(0, -1).join("/")}`);
  }
  return document;
}

function remove(document: unknown, path: Pointer, index: number): unknown {
  read(document, path, index);
  const last = path.at(-1);
  if (last === undefined) return undefined;
  const parent = read(document, path.slice(0, -1), index);
  if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete (parent as Record<string, unknown>)[last];
  return document;
}

function failure(index: number, why: string): InputError {
  return new InputError(`Cannot apply the patch: operation ${index} ${why}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
