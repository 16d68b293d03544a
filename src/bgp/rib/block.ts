import type { AdjRibOut } from "./adj-rib-out.ts";
import type { BucketOrder } from "./bucket-order.ts";
import type { PrefixTable } from "./prefix-table.ts";
import type { Listed, StreamWriter } from "./stream-writer.ts";

/**
 * Whole messages that go to all peers of a group: encoded once, and the same buffer is written to
 * every socket. What a peer told us itself is left out: it gets the octets around its part.
 */
export interface Block {
  readonly bytes: Uint8Array;
  /** Where the routes of each source are. */
  readonly parts: ReadonlyMap<number, { readonly start: number; readonly end: number }>;
  /** Withdrawals for a peer that now tells us itself what it was told of another. */
  readonly taken: ReadonlyMap<number, Uint8Array>;
}

/** What a block is made of. `pathIds`: with ADD-PATH. */
export interface BlockSource {
  readonly table: PrefixTable;
  readonly out: AdjRibOut;
  readonly writer: StreamWriter;
  readonly buckets: BucketOrder;
  /** The prefix of an entry of `out`; absent: the entry itself. */
  readonly prefixOf?: (entry: number) => number;
}

/** The octets of a block that go to `peer`. */
export function viewsFor(block: Block, peer: number): Uint8Array[] {
  const own = block.parts.get(peer);
  if (own === undefined) return block.bytes.length === 0 ? [] : [block.bytes];
  const views: Uint8Array[] = [];
  if (own.start > 0) views.push(block.bytes.subarray(0, own.start));
  if (own.end < block.bytes.length) views.push(block.bytes.subarray(own.end));
  const taken = block.taken.get(peer);
  if (taken !== undefined) views.push(taken);
  return views;
}

/** Withdrawals first, then the announcements source by source, and of each set by set. */
export function packBlock(
  { announced, withdrawn }: { readonly announced: Uint32Array; readonly withdrawn: Uint32Array },
  from: BlockSource,
  taken: Block["taken"] = nothingTaken,
): Block {
  const { writer } = from;
  if (withdrawn.length > 0) writer.withdraw(listed(withdrawn, from));
  const parts = new Map<number, { start: number; end: number }>();
  const told = listed(inOrder(announced, from), from);
  const { entries } = told;
  let start = 0;
  while (start < entries.length) {
    const source = from.out.sourceAt(entries[start] as number);
    const at = writer.length;
    start = announceSource(told, start, source, from);
    parts.set(source, { start: at, end: writer.length });
  }
  return { bytes: writer.finish(), parts, taken };
}

/** Messages that withdraw what peers were told of entries. */
export function packWithdrawals(entries: Uint32Array, from: BlockSource): Uint8Array {
  from.writer.withdraw(listed(entries, from));
  return from.writer.finish();
}

interface ListedEntries extends Listed {
  readonly entries: Uint32Array;
}

const nothingTaken: Block["taken"] = new Map();

function announceSource(
  told: ListedEntries,
  first: number,
  source: number,
  from: BlockSource,
): number {
  const { out, writer } = from;
  const { entries } = told;
  let start = first;
  while (start < entries.length && out.sourceAt(entries[start] as number) === source) {
    const attributesId = out.attributesAt(entries[start] as number);
    let end = start + 1;
    while (end < entries.length) {
      const entry = entries[end] as number;
      if (out.attributesAt(entry) !== attributesId || out.sourceAt(entry) !== source) break;
      end++;
    }
    writer.announce(attributesId, told, start, end);
    start = end;
  }
  return start;
}

function inOrder(entries: Uint32Array, { out, buckets }: BlockSource): Uint32Array {
  const keys = new Uint32Array(entries.length);
  for (let i = 0; i < entries.length; i++) keys[i] = out.attributesAt(entries[i] as number);
  const bySet = buckets.order(entries, keys);
  const first = entries.length === 0 ? 0 : out.sourceAt(bySet[0] as number);
  let isMixed = false;
  for (let i = 0; i < bySet.length; i++) {
    keys[i] = out.sourceAt(bySet[i] as number);
    if (keys[i] !== first) isMixed = true;
  }
  return isMixed ? buckets.order(bySet, keys) : bySet;
}

function listed(entries: Uint32Array, { table, prefixOf }: BlockSource): ListedEntries {
  const prefixes = table.packed;
  if (prefixOf === undefined) return { prefixes, entries, ids: entries, pathIds: undefined };
  return { prefixes, entries, ids: entries.map(prefixOf), pathIds: entries };
}
