import { getOrCreate } from "../../lib/collections.ts";
import type { EncodeOptions } from "../wire/attribute-rows.ts";
import { encodeUpdates, encodeWithdrawals } from "../wire/encode-updates.ts";
import type { PackedPrefixes } from "../wire/message.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { wordsOf } from "./packed-prefix.ts";

/** One prefix to announce. */
export interface Announced {
  readonly prefixId: number;
  readonly attributesId: number;
  /** Peer that it was learned from: it gets everything but this. */
  readonly source: number;
}

/** Whole messages in one buffer, and which of them tell routes of which source. */
export interface Stream {
  readonly bytes: Uint8Array;
  /** In order and without gaps. Source -1: for every peer. */
  readonly parts: readonly { readonly source: number; readonly end: number }[];
}

/** What packing reads: the columns of the prefix table, and the attributes. */
export interface PackSource {
  readonly packed: PackedPrefixes;
  readonly attributes: AttributeStore;
  readonly options: EncodeOptions;
}

/**
 * Packs a batch into as few messages as can be (one a set of attributes, 4096 octets each), the
 * withdrawals first, then the announcements source by source.
 */
export function packStream(
  announced: readonly Announced[],
  withdrawn: readonly number[],
  from: PackSource,
): Stream {
  const messages: Uint8Array[] = [];
  const parts: { source: number; end: number }[] = [];
  let end = 0;
  const append = (source: number, packed: readonly Uint8Array[]): void => {
    for (const message of packed) {
      messages.push(message);
      end += message.length;
    }
    const last = parts.at(-1);
    if (last?.source === source) last.end = end;
    else parts.push({ source, end });
  };
  if (withdrawn.length > 0) append(-1, encodeWithdrawals(gather(from.packed, withdrawn)));
  for (const [source, byAttributes] of groupRoutes(announced)) {
    for (const [attributesId, prefixIds] of byAttributes) {
      append(source, packAnnouncement(attributesId, prefixIds, from));
    }
  }
  return { bytes: concat(messages, end), parts };
}

/** The parts of a stream that go to `peer`, as views of it: what the peer told us is left out. */
export function cutStream({ bytes, parts }: Stream, peer: number): Uint8Array[] {
  const views: Uint8Array[] = [];
  let start = 0;
  let at = 0;
  for (const { source, end } of parts) {
    if (source === peer) {
      if (at > start) views.push(bytes.subarray(start, at));
      start = end;
    }
    at = end;
  }
  if (at > start)
    views.push(start === 0 && at === bytes.length ? bytes : bytes.subarray(start, at));
  return views;
}

function groupRoutes(announced: readonly Announced[]): Map<number, Map<number, number[]>> {
  const bySource = new Map<number, Map<number, number[]>>();
  for (const { source, attributesId, prefixId } of announced) {
    const byAttributes = getOrCreate(bySource, source, () => new Map<number, number[]>());
    getOrCreate(byAttributes, attributesId, () => []).push(prefixId);
  }
  return bySource;
}

function packAnnouncement(
  attributesId: number,
  prefixIds: readonly number[],
  { packed, attributes, options }: PackSource,
): Uint8Array[] {
  const { attributes: announced, nextHop } = attributes.get(attributesId);
  const prefixes = gather(packed, prefixIds);
  // Export policy gives every route a next hop; one without could only be withdrawn.
  if (nextHop === undefined) return encodeWithdrawals(prefixes);
  return encodeUpdates({ attributes: announced, nextHop, prefixes }, options);
}

function gather(packed: PackedPrefixes, prefixIds: readonly number[]): PackedPrefixes {
  const stride = wordsOf[packed.family];
  const words = new Uint32Array(prefixIds.length * stride);
  const lengths = new Uint8Array(prefixIds.length);
  prefixIds.forEach((prefixId, index) => {
    lengths[index] = packed.lengths[prefixId] as number;
    for (let w = 0; w < stride; w++) {
      words[index * stride + w] = packed.words[prefixId * stride + w] as number;
    }
  });
  return { family: packed.family, count: prefixIds.length, words, lengths };
}

function concat(messages: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const message of messages) {
    bytes.set(message, at);
    at += message.length;
  }
  return bytes;
}
