import { getOrCreate } from "../../lib/collections.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { decodeMessage } from "../wire/decode.ts";
import { FrameSplitter } from "../wire/frame.ts";
import type { PackedPrefixes } from "../wire/message.ts";
import { readPlainUpdate } from "../wire/plain-update.ts";
import { PrefixTable } from "./prefix-table.ts";

/**
 * The prefixes that a slow peer has not heard of, with their path identifiers where it is told any.
 * Each is there once, so the memory grows with prefixes and never with churn.
 */
export class WaitingSet {
  readonly table: PrefixTable;
  readonly #pathIds: Map<number, Set<number>> | undefined;

  constructor(family: IpFamily, addPath: boolean) {
    this.table = new PrefixTable(family);
    if (addPath) this.#pathIds = new Map();
  }

  get size(): number {
    return this.table.size;
  }

  add(prefixes: PackedPrefixes, index: number, pathId: number): void {
    const id = this.table.add(prefixes, index);
    if (this.#pathIds !== undefined) getOrCreate(this.#pathIds, id, () => new Set()).add(pathId);
  }

  /** Adds all prefixes of whole UPDATE messages that were never sent. */
  addMessages(bytes: Uint8Array): void {
    const family = this.table.family;
    const addPath = this.#pathIds === undefined ? {} : { addPath: [family] };
    const context = { fourOctetAs: true, external: false, families: [family], ...addPath };
    new FrameSplitter().push(bytes, (frame) => {
      // Most are, and of those the attributes are not decoded: that is most of the work.
      const plain = readPlainUpdate(frame, context)?.plain;
      if (plain !== undefined) {
        this.#addAll(plain.prefixes);
        return;
      }
      const decoded = decodeMessage(frame, context);
      if (!decoded.ok || decoded.message.kind !== "update") return;
      const { withdrawn, announced } = decoded.message;
      for (const prefixes of withdrawn) this.#addAll(prefixes);
      for (const { prefixes } of announced) this.#addAll(prefixes);
    });
  }

  #addAll(prefixes: PackedPrefixes): void {
    for (let i = 0; i < prefixes.count; i++) this.add(prefixes, i, prefixes.pathIds?.[i] ?? 0);
  }

  /** Takes some prefixes out: calls back with the id in `table`, valid until the next `add`. */
  take(limit: number, visit: (id: number, pathIds: Iterable<number>) => void): void {
    let left = limit;
    for (const id of this.table.ids()) {
      if (left-- === 0) return;
      visit(id, this.#pathIds?.get(id) ?? noPathId);
      this.#pathIds?.delete(id);
      this.table.remove(id);
    }
  }
}

const noPathId: readonly number[] = [0];
