import type { PackedPrefixes } from "../../src/bgp/wire/message.ts";
import { ipBytes, ipFromBytes } from "../../src/lib/ip-addr.ts";
import {
  type Prefix,
  parsePrefix,
  prefixAddress,
  prefixFamily,
  prefixLength,
} from "../../src/lib/prefix.ts";

/** Packs prefixes of one family (at least one). */
export function pack(...texts: string[]): PackedPrefixes {
  const prefixes = texts.map((text) => parsePrefix(text));
  const family = prefixFamily(prefixes[0] as Prefix);
  const octets = prefixes.flatMap((prefix) => [...ipBytes(prefixAddress(prefix))]);
  const view = new DataView(Uint8Array.from(octets).buffer);
  return {
    family,
    count: prefixes.length,
    words: Uint32Array.from({ length: octets.length / 4 }, (_, i) => view.getUint32(i * 4)),
    lengths: Uint8Array.from(prefixes, prefixLength),
  };
}

/** The prefixes as text, in order. */
export function unpack({ family, count, words, lengths }: PackedPrefixes): Prefix[] {
  const stride = family === 4 ? 1 : 4;
  return Array.from({ length: count }, (_, i) => {
    const bytes = new Uint8Array(stride * 4);
    const view = new DataView(bytes.buffer);
    for (let word = 0; word < stride; word++) {
      view.setUint32(word * 4, words[i * stride + word] ?? 0);
    }
    return `${ipFromBytes(bytes)}/${lengths[i]}` as Prefix;
  });
}

/** So many IPv4 prefixes of 24 bits, from 10.0.0.0 on. */
export function packMany(count: number): PackedPrefixes {
  const words = Uint32Array.from({ length: count }, (_, index) => 0x0a000000 + index * 256);
  return { family: 4, count, words, lengths: new Uint8Array(count).fill(24) };
}
