import { type IpFamily, ipBytes, ipFromBytes } from "../../lib/ip-addr.ts";
import { type Prefix, prefixAddress, prefixFamily, prefixLength } from "../../lib/prefix.ts";
import type { PackedPrefixes } from "../wire/message.ts";

/** 32-bit words that an address of each family takes. */
export const wordsOf: Readonly<Record<IpFamily, 1 | 4>> = { 4: 1, 6: 4 };

/** Packs canonical prefixes, all of `family`, in their order. */
export function packPrefixes(prefixes: readonly Prefix[], family: IpFamily): PackedPrefixes {
  const stride = wordsOf[family];
  const words = new Uint32Array(prefixes.length * stride);
  const lengths = new Uint8Array(prefixes.length);
  prefixes.forEach((prefix, index) => {
    const bytes = ipBytes(prefixAddress(prefix));
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let w = 0; w < stride; w++) words[index * stride + w] = view.getUint32(w * 4);
    lengths[index] = prefixLength(prefix);
  });
  return { family, count: prefixes.length, words, lengths };
}

/** The prefix at `index`, canonical. */
export function unpackPrefix(prefixes: PackedPrefixes, index: number): Prefix {
  const stride = wordsOf[prefixes.family];
  const view = new DataView(new ArrayBuffer(stride * 4));
  for (let w = 0; w < stride; w++) {
    view.setUint32(w * 4, prefixes.words[index * stride + w] as number);
  }
  return `${ipFromBytes(new Uint8Array(view.buffer))}/${prefixes.lengths[index]}` as Prefix;
}

/** How a prefix lies in a list of prefixes. */
export type Containment = "equal" | "inside" | "outside";

/**
 * A short list of prefixes (pools, own blocks) that routes are compared with. Works on words: a
 * comparison by bigint costs more than the whole rest of the export policy.
 */
export class PrefixList {
  readonly #lists: Readonly<Record<IpFamily, PackedPrefixes>>;

  constructor(prefixes: readonly Prefix[]) {
    const of = (family: IpFamily) =>
      packPrefixes(
        prefixes.filter((prefix) => prefixFamily(prefix) === family),
        family,
      );
    this.#lists = { 4: of(4), 6: of(6) };
  }

  /** "equal" when the prefix is in the list, "inside" when an entry holds it and more. */
  compare(prefixes: PackedPrefixes, index: number): Containment {
    const list = this.#lists[prefixes.family];
    const length = prefixes.lengths[index] as number;
    let found: Containment = "outside";
    for (let i = 0; i < list.count; i++) {
      const bits = list.lengths[i] as number;
      if (bits > length || !sameBits(list, i, prefixes, index, bits)) continue;
      if (bits === length) return "equal";
      found = "inside";
    }
    return found;
  }

  /** True when an entry is the prefix or holds it. */
  covers(prefixes: PackedPrefixes, index: number): boolean {
    return this.compare(prefixes, index) !== "outside";
  }
}

function sameBits(
  a: PackedPrefixes,
  aIndex: number,
  b: PackedPrefixes,
  bIndex: number,
  bits: number,
): boolean {
  const stride = wordsOf[a.family];
  for (let w = 0, rest = bits; rest > 0; w++, rest -= 32) {
    const mask = rest >= 32 ? -1 : -1 << (32 - rest);
    const difference =
      (a.words[aIndex * stride + w] as number) ^ (b.words[bIndex * stride + w] as number);
    if ((difference & mask) !== 0) return false;
  }
  return true;
}
