import { CniError, cniCodes } from "./cni-error.ts";

/** Fields of a network configuration, read one by one: what is wrong is named with its value. */

export type Json = Readonly<Record<string, unknown>>;

/** @throws {CniError} when the text is no JSON object. */
export function jsonObject(text: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CniError(
      cniCodes.decoding,
      "Cannot read the network configuration: it is not JSON",
      (cause as Error).message,
      { cause },
    );
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw configError("configuration", value, "a JSON object");
  }
  return value as Json;
}

export function configError(field: string, value: unknown, want: string): CniError {
  return new CniError(
    cniCodes.invalidConfig,
    `Cannot accept the network configuration: ${field} must be ${want}`,
    `got ${JSON.stringify(value)}`,
  );
}

/** An absent section is an empty one. */
export function section(parent: Json, field: string): Json {
  const value = parent[field] ?? {};
  if (typeof value !== "object" || Array.isArray(value))
    throw configError(field, value, "an object");
  return value as Json;
}

interface TypeNames {
  string: string;
  number: number;
  boolean: boolean;
}

export function optional<T extends keyof TypeNames>(
  parent: Json,
  field: string,
  type: T,
): TypeNames[T] | undefined {
  const value = parent[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type) throw configError(field, value, `a ${type}`);
  return value as TypeNames[T];
}

/** Upstream writes these as the strings "true" and "false" (facts 6.8). */
export function flag(parent: Json, field: string, fallback: boolean): boolean {
  const value = parent[field] ?? fallback;
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw configError(`ipam.${field}`, value, '"true" or "false"');
}

/** A whole number of `range`; `fallback` when it is absent. */
export function integer(
  parent: Json,
  field: string,
  { range: [least, most], fallback }: { range: readonly [number, number]; fallback: number },
): number {
  const value = optional(parent, field, "number") ?? fallback;
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw configError(field, value, `${least} to ${most}`);
}

export function textList(value: unknown, field: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw configError(field, value, "a list of strings");
}

export function objectList(value: unknown, field: string): readonly Json[] {
  if (value === undefined || value === null) return [];
  const isObject = (item: unknown) => item !== null && typeof item === "object";
  if (Array.isArray(value) && value.every(isObject)) return value as Json[];
  throw configError(field, value, "a list of objects");
}
