import { isSeq, type Node } from "yaml";
import { nearest } from "./nearest.ts";
import type { Place } from "./place.ts";

/** Reads one value. Undefined: it is wrong, and the place has been told. */
export type Read<Value> = (at: Place) => Value | undefined;

/** One key of a map. */
export interface Field<Value> {
  readonly read: Read<Value>;
  readonly required: boolean;
}

/** How each key of a map is read: `Values` has what was found, so all of it is optional. */
export type Fields<Values> = {
  readonly [Key in keyof Values]-?: Field<Exclude<Values[Key], undefined>>;
};

export function required<Value>(read: Read<Value>): Field<Value> {
  return { read, required: true };
}

export function optional<Value>(read: Read<Value>): Field<Value> {
  return { read, required: false };
}

/** A map with these keys. Unknown and missing keys are mistakes; the rest is read all the same. */
export function map<Values>(fields: Fields<Values>): Read<Values> {
  const known: Readonly<Record<string, Field<unknown>>> = fields;
  return (at) => {
    const entries = at.entries();
    if (entries === undefined) return at.wrong("must be a map");
    const values: Record<string, unknown> = {};
    for (const { key, value } of entries) {
      const field = Object.hasOwn(known, key) ? known[key] : undefined;
      if (field === undefined) unknownKey(value, key, Object.keys(known));
      else values[key] = field.read(value);
    }
    const present = new Set(entries.map(({ key }) => key));
    for (const [key, field] of Object.entries(known)) {
      if (field.required && !present.has(key)) at.wrong(`${key} is missing`);
    }
    return values as Values;
  };
}

/** A map whose keys are names of the user's own. */
export function named<Value>(read: Read<Value>): Read<ReadonlyMap<string, Value>> {
  return (at) => {
    const entries = at.entries();
    if (entries === undefined) return at.wrong("must be a map");
    const values = new Map<string, Value>();
    for (const { key, value: place } of entries) {
      const value = read(place);
      if (value !== undefined) values.set(key, value);
    }
    return values;
  };
}

/** A list; what is wrong in it is left out. */
export function list<Value>(read: Read<Value>): Read<readonly Value[]> {
  return (at) => {
    if (!isSeq(at.node)) return at.wrong("must be a list");
    return at.node.items.flatMap((item, index) => {
      const value = read(at.item(item as Node, index));
      return value === undefined ? [] : [value];
    });
  };
}

/** The value with its place, for mistakes that only show beside others. */
export function placed<Value>(read: Read<Value>): Read<Placed<Value>> {
  return (at) => {
    const value = read(at);
    return value === undefined ? undefined : { value, at };
  };
}

export interface Placed<Value> {
  readonly value: Value;
  readonly at: Place;
}

function unknownKey(at: Place, key: string, keys: readonly string[]): void {
  const like = nearest(key, keys);
  at.wrong(`unknown key${like === undefined ? "" : `, did you mean "${like}"?`}`, key);
}
