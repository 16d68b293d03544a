import type { Random } from "./random.ts";

/** Octets that break readers more often than others do. */
const notable = [0, 1, 2, 3, 4, 16, 31, 32, 33, 64, 127, 128, 129, 254, 255];

type Change = (bytes: Uint8Array, random: Random, others: readonly Uint8Array[]) => Uint8Array;

const changes: readonly Change[] = [
  (bytes, random) => set(bytes, random, bytes.at(0) === undefined ? 0 : random.below(256)),
  (bytes, random) => set(bytes, random, random.pick(notable)),
  (bytes, random) => {
    const copy = bytes.slice();
    const at = random.below(Math.max(1, copy.length));
    if (copy.length > 0) copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  },
  // A length that is wrong by a little.
  (bytes, random) => {
    const copy = bytes.slice();
    const at = random.below(Math.max(1, copy.length));
    if (copy.length > 0) copy[at] = (copy[at] ?? 0) + random.pick([-1, 1]);
    return copy;
  },
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return joined(bytes.subarray(0, start), bytes.subarray(end));
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return joined(bytes.subarray(0, end), bytes.subarray(start));
  },
  (bytes, random) => insert(bytes, random.octets(1 + random.below(8)), random),
  (bytes, random, others) => {
    const other = random.pick(others);
    return insert(bytes, other.subarray(...range(other, random)), random);
  },
  (bytes, random, others) => {
    const other = random.pick(others);
    const [, end] = range(bytes, random);
    return joined(bytes.subarray(0, end), other.subarray(random.below(other.length + 1)));
  },
];

/** One to four changes of `bytes`; `others` are what is spliced in. At most `maxLength` octets. */
export function mutate(
  bytes: Uint8Array,
  random: Random,
  { others, maxLength }: { readonly others: readonly Uint8Array[]; readonly maxLength: number },
): Uint8Array {
  let changed = bytes;
  for (let left = 1 + random.below(4); left > 0; left--) {
    changed = random.pick(changes)(changed, random, others);
  }
  return changed.subarray(0, maxLength);
}

function set(bytes: Uint8Array, random: Random, value: number): Uint8Array {
  const copy = bytes.slice();
  if (copy.length > 0) copy[random.below(copy.length)] = value;
  return copy;
}

function insert(bytes: Uint8Array, part: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  return joined(bytes.subarray(0, at), part, bytes.subarray(at));
}

/** Mostly short: what is cut or doubled is then a field, not the whole. */
function range(bytes: Uint8Array, random: Random): [start: number, end: number] {
  const start = random.below(bytes.length + 1);
  const most = random.oneIn(4) ? bytes.length : 16;
  return [start, Math.min(bytes.length, start + random.below(most + 1))];
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
