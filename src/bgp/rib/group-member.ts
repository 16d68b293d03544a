import type { IpFamily } from "../../lib/ip-addr.ts";
import { type TimeSlice, unlimited } from "../../lib/time-slice.ts";
import type { Backlog } from "./backlog.ts";
import { type Block, type BlockSource, packBlock, viewsFor } from "./block.ts";
import type { TableStream } from "./table-stream.ts";
import { WaitingSet } from "./waiting-set.ts";

/** Octets for one peer in one go: what more there is comes in the next turn. */
const goBytes = 1024 * 1024;
const waitingSlice = 16_384;
const nothingYet: Uint8Array[] = [];

/** What a group gives its members to read. */
export interface MemberSource {
  readonly backlog: Backlog;
  readonly block: BlockSource;
}

interface PendingTable {
  readonly stream: TableStream;
  next: number;
}

/** A peer of an update group, and how far it has been told. */
export class GroupMember {
  readonly name: string;
  readonly peer: number;
  /** Its queue is full. */
  isBlocked: boolean = false;
  readonly #from: MemberSource;
  /** Number of the next block that it gets. */
  #position: number;
  /** The whole table, which comes before the blocks. */
  #table: PendingTable | undefined;
  /** Sent behind the table. */
  #after: Uint8Array[] = [];
  /** Instead of blocks, once it was too far behind. */
  #waiting: WaitingSet | undefined;

  constructor(peer: number, name: string, from: MemberSource) {
    this.peer = peer;
    this.name = name;
    this.#from = from;
    this.#position = from.backlog.end;
  }

  /** Number of the first block that it needs. */
  get position(): number {
    return this.#position;
  }

  get readsTable(): boolean {
    return this.#table !== undefined;
  }

  /** There is something to send now. `isFilled`: the table is whole. */
  hasWork(isFilled: boolean): boolean {
    if (this.isBlocked) return false;
    return (
      this.#table !== undefined ||
      this.#waiting !== undefined ||
      this.#position < this.#from.backlog.end ||
      (this.#after.length > 0 && isFilled)
    );
  }

  /** It is sent this once it has been told all. */
  tellAfter(bytes: Uint8Array): void {
    this.#after.push(bytes);
  }

  /** What `tellAfter` has left: another group is to send it. */
  takeAfter(): readonly Uint8Array[] {
    const after = this.#after;
    this.#after = [];
    return after;
  }

  /** It is to read the table from its start. */
  readTable(stream: TableStream): void {
    this.#table = { stream, next: 0 };
    // What was not sent yet, it need not hear before; what came since the table began, again.
    if (this.#waiting === undefined) this.#position = Math.min(this.#position, stream.since);
  }

  /** What it is sent next; nothing as long as the table that it reads is not listed. */
  go(isFilled: boolean, slice: Pick<TimeSlice, "isOver">): Uint8Array[] {
    const views: Uint8Array[] = [];
    let left = goBytes;
    while (left > 0) {
      const next = this.#next(isFilled);
      if (next === undefined) break;
      for (const view of next) {
        left -= view.length;
        views.push(view);
      }
      if (slice.isOver) break;
    }
    return views;
  }

  /** Gives up its place in the row of blocks, block by block. */
  fallBehind(family: IpFamily, slice: Pick<TimeSlice, "isOver">): void {
    const { block } = this.#from;
    this.#waiting ??= new WaitingSet(family, block.prefixOf !== undefined);
    while (this.#noteNext(this.#waiting) && !slice.isOver);
  }

  /** A block was added to the row: one that is behind for good does not read it. */
  noteBlock(entries: Uint32Array): void {
    if (this.#waiting === undefined || this.#position < this.#from.backlog.end - 1) return;
    const { table, prefixOf } = this.#from.block;
    for (const entry of entries) {
      this.#waiting.add(table.packed, prefixOf?.(entry) ?? entry, entry);
    }
    this.#position = this.#from.backlog.end;
  }

  /** The prefixes of what it has not been sent, besides the table. It is of no use afterwards. */
  unsent(family: IpFamily): WaitingSet {
    this.fallBehind(family, unlimited);
    return this.#waiting ?? new WaitingSet(family, false);
  }

  /** It is to be told what has become of these prefixes. */
  owe(prefixes: WaitingSet): void {
    this.#waiting = prefixes;
    this.#position = this.#from.backlog.end;
  }

  #next(isFilled: boolean): Uint8Array[] | undefined {
    if (this.#table !== undefined) {
      const { stream } = this.#table;
      if (stream.list()) return nothingYet;
      const chunk = stream.chunk(this.#table.next++);
      if (chunk !== undefined) return viewsFor(chunk, this.peer);
      this.#table = undefined;
    }
    if (this.#waiting !== undefined) {
      return this.#noteNext(this.#waiting) ? nothingYet : this.#fromWaiting();
    }
    if (this.#position < this.#from.backlog.end) return this.#viewsAt(this.#position++);
    if (this.#after.length === 0 || !isFilled) return undefined;
    const after = this.#after;
    this.#after = [];
    return after;
  }

  /** Notes the prefixes of the next block instead of sending it. False: there is none. */
  #noteNext(waiting: WaitingSet): boolean {
    if (this.#position >= this.#from.backlog.end) return false;
    for (const view of this.#viewsAt(this.#position++)) waiting.addMessages(view);
    return true;
  }

  #viewsAt(number: number): Uint8Array[] {
    const block: Block | undefined = this.#from.backlog.at(number);
    return block === undefined ? [] : viewsFor(block, this.peer);
  }

  /** What has become of some of the prefixes that it has not heard of. */
  #fromWaiting(): Uint8Array[] {
    const waiting = this.#waiting;
    if (waiting === undefined) return [];
    const { out, table, writer, prefixOf } = this.#from.block;
    const announced: number[] = [];
    const withdrawn: number[] = [];
    const withdrawnPaths: number[] = [];
    waiting.take(waitingSlice, (id, pathIds) => {
      const prefixId = table.find(waiting.table.packed, id);
      for (const pathId of pathIds) {
        const entry = prefixOf === undefined ? prefixId : pathId;
        const isThere = prefixId >= 0 && (prefixOf?.(entry) ?? entry) === prefixId;
        if (isThere && out.attributesAt(entry) !== 0 && out.sourceAt(entry) !== this.peer) {
          announced.push(entry);
        } else {
          withdrawn.push(id);
          withdrawnPaths.push(pathId);
        }
      }
    });
    const pathIds = prefixOf === undefined ? undefined : Uint32Array.from(withdrawnPaths);
    writer.withdraw({ prefixes: waiting.table.packed, ids: Uint32Array.from(withdrawn), pathIds });
    const gone = writer.finish();
    if (waiting.size === 0) this.#waiting = undefined;
    const { bytes } = packBlock(
      { announced: Uint32Array.from(announced), withdrawn: new Uint32Array(0) },
      this.#from.block,
    );
    return [gone, bytes].filter(({ length }) => length > 0);
  }
}
