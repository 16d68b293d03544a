import type { IpFamily } from "../../lib/ip-addr.ts";
import { Turns } from "../../lib/turns.ts";
import { DesiredSets } from "../ipset/desired-sets.ts";
import { type KernelSet, missingMembers, sameMetadata } from "../ipset/ip-set.ts";
import type { WantedSet } from "../ipset/wanted-set.ts";

/** Where the kernel's sets are read. */
export interface SetReader {
  listNames(): Promise<string[]>;
  list(name: string): Promise<KernelSet | undefined>;
}

/** How a set of the kernel differs from what is wanted. */
export interface SetDifference {
  readonly name: string;
  /** "replace": it has another type or size, and is made anew. */
  readonly op: "add" | "change" | "replace" | "remove";
  /** Members that would come and go. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** IP sets of one family that are compared with the kernel's, where `IpSets` would write them. */
export class DryIpSets extends DesiredSets {
  readonly #prefix: string;
  readonly #reader: SetReader;
  readonly #turns = new Turns(performance);
  readonly #differences = new Map<string, SetDifference>();
  #equal = 0;

  /** `prefix`: sets whose names begin so are ours ("cali40"). */
  constructor(family: IpFamily, prefix: string, reader: SetReader) {
    super(family);
    this.#prefix = prefix;
    this.#reader = reader;
  }

  get differences(): readonly SetDifference[] {
    return [...this.#differences.values()];
  }

  /** How many sets are as they are wanted. */
  get equal(): number {
    return this.#equal;
  }

  /** The kernel is read by each `apply`. */
  resync(): void {
    this.#differences.clear();
  }

  /** The reader is its owner's. */
  close(): void {
    this.desired.clear();
  }

  async apply(needed?: ReadonlySet<string>): Promise<void> {
    this.#equal = 0;
    this.#differences.clear();
    for (const [name, desired] of this.desired) {
      if (needed !== undefined && !needed.has(name)) continue;
      await desired.read(false, this.#turns);
      const difference = await this.#compare(name, desired);
      if (difference === undefined) this.#equal++;
      else this.#differences.set(name, difference);
    }
  }

  async destroyUnused(needed?: ReadonlySet<string>): Promise<boolean> {
    for (const name of await this.#reader.listNames()) {
      if (!name.startsWith(this.#prefix)) continue;
      const isWanted = this.desired.has(name) && needed?.has(name) !== false;
      if (!isWanted) this.#differences.set(name, { name, op: "remove", added: [], removed: [] });
    }
    return false;
  }

  async #compare(name: string, desired: WantedSet): Promise<SetDifference | undefined> {
    const present = await this.#reader.list(name);
    if (present === undefined) {
      return { name, op: "add", added: [...desired.members], removed: [] };
    }
    const added = await missingMembers(desired.members, present.members, this.#turns);
    const removed = await missingMembers(present.members, desired.members, this.#turns);
    const op = sameMetadata(present, desired) ? "change" : "replace";
    if (op === "change" && added.length + removed.length === 0) return undefined;
    return { name, op, added, removed };
  }
}
