import { AttributeCursor } from "../../src/bgp/wire/attribute-cursor.ts";
import { encodeCapabilities } from "../../src/bgp/wire/capabilities.ts";
import { type Vector, vectors } from "../../test/vectors/vectors.ts";
import { joined, mutate } from "./mutate.ts";
import type { Random } from "./random.ts";

/** What messages are made of: attributes and capabilities of the vectors, and prefixes. */

export interface Attribute {
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
}

const headerLength = 19;

/** Bodies of the vectors of one message type. */
export function bodiesOf(type: number): Uint8Array[] {
  return vectors
    .filter((vector) => vector.isFramed && vector.type === type)
    .map(({ bytes }) => bytes.subarray(headerLength));
}

/** Every attribute in the vectors. */
export const attributes: readonly Attribute[] = vectors.flatMap(attributesOf);

function attributesOf({ type, bytes, isFramed }: Vector): Attribute[] {
  if (type !== 2 || !isFramed) return [];
  const start = headerLength + 2 + u16(bytes, headerLength);
  const field = bytes.subarray(start + 2, start + 2 + u16(bytes, start));
  const cursor = new AttributeCursor(field);
  const found: Attribute[] = [];
  while (cursor.next()) {
    const { flags, code, length } = cursor;
    found.push({ flags: flags & 0xef, code, value: cursor.bytes(0, length).slice() });
  }
  return found;
}

/** Every capability in the vectors, as code, length and value. */
export const capabilities: readonly Uint8Array[] = vectors.flatMap(({ expected }) =>
  "message" in expected && expected.message.kind === "open"
    ? expected.message.capabilities.map((capability) => encodeCapabilities([capability]))
    : [],
);

export function attributeBytes({ flags, code, value }: Attribute): Uint8Array {
  const { length } = value;
  return length > 255
    ? joined(Uint8Array.of(flags | 0x10, code, length >> 8, length & 255), value)
    : joined(Uint8Array.of(flags & 0xef, code, length), value);
}

/** Withdrawn routes, attributes and NLRI with the lengths that they have. */
export function updateBody(withdrawn: Uint8Array, field: Uint8Array, nlri: Uint8Array): Uint8Array {
  return joined(length16(withdrawn), withdrawn, length16(field), field, nlri);
}

/** A whole UPDATE body: its lengths are right, what is in them need not be. */
export function randomUpdate(random: Random): Uint8Array {
  const others = attributes.map(({ value }) => value);
  const chosen = Array.from({ length: random.below(8) }, () => {
    const attribute = random.pick(attributes);
    const value = random.oneIn(3)
      ? mutate(attribute.value, random, { others, maxLength: 1000 })
      : attribute.value;
    const flags = random.oneIn(12) ? random.below(256) & 0xef : attribute.flags;
    const code = random.oneIn(20) ? random.below(256) : attribute.code;
    return { flags, code, value };
  });
  // What every announcement needs, mostly: else the rest is seldom looked at.
  const needed = random.oneIn(4) ? [] : attributes.filter(isNeeded).slice(0, 3);
  const field = joined(...needed.map(attributeBytes), ...chosen.map(attributeBytes));
  const withdrawn = random.oneIn(3) ? randomPrefixes(random) : new Uint8Array(0);
  const nlri = random.oneIn(4) ? new Uint8Array(0) : randomPrefixes(random);
  return updateBody(withdrawn, field, nlri);
}

function isNeeded({ code }: Attribute, index: number): boolean {
  return code <= 3 && attributes.findIndex((each) => each.code === code) === index;
}

/** Prefixes with or without path identifiers; one in a while is too long or cut. */
export function randomPrefixes(random: Random): Uint8Array {
  const withPathId = random.oneIn(2);
  const parts = Array.from({ length: random.below(6) }, () => {
    const bits = random.oneIn(15) ? random.below(256) : random.below(33);
    const pathId = withPathId ? random.octets(4) : new Uint8Array(0);
    return joined(pathId, Uint8Array.of(bits), random.octets((bits + 7) >> 3));
  });
  const all = joined(...parts);
  return random.oneIn(10) ? all.subarray(0, random.below(all.length + 1)) : all;
}

/** A whole OPEN body: capabilities in one parameter or more, with short lengths or extended. */
export function randomOpen(random: Random): Uint8Array {
  const isExtended = random.oneIn(3);
  const parameters = Array.from({ length: random.below(5) }, () => {
    const chosen = Array.from({ length: 1 + random.below(4) }, () => randomCapability(random));
    const value = joined(...chosen);
    const type = random.oneIn(15) ? random.below(256) : 2;
    const length = isExtended ? length16(value) : Uint8Array.of(value.length);
    return joined(Uint8Array.of(type), length, value);
  });
  const all = joined(...parameters);
  const head = Uint8Array.of(4, ...random.octets(8));
  return isExtended
    ? joined(head, Uint8Array.of(255, 255), length16(all), all)
    : joined(head, Uint8Array.of(all.length), all);
}

function randomCapability(random: Random): Uint8Array {
  const capability = random.pick(capabilities);
  if (!random.oneIn(3)) return capability;
  const value = mutate(capability.subarray(2), random, { others: capabilities, maxLength: 255 });
  const code = random.oneIn(8) ? random.below(256) : (capability[0] ?? 0);
  return joined(Uint8Array.of(code, value.length), value);
}

function length16({ length }: Uint8Array): Uint8Array {
  return Uint8Array.of(length >> 8, length & 255);
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
