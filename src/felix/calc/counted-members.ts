import type { ActiveIpSet, IpSetChange } from "./updates.ts";

type MembersUpdate =
  | { readonly op: "set"; readonly members: ActiveIpSet["members"] }
  | { readonly op: "change"; readonly change: IpSetChange };

/**
 * Members of one IP set. Several givers may give the same one: it goes with the last of them. Once
 * the whole set was told, only what changed is: one more among a million costs as little as among ten.
 * The set that is told first is made as its members are counted, and given away: a copy of a million
 * would take a second.
 */
export class CountedMembers {
  /** How many givers give each member. */
  readonly #counts = new Map<string, number>();
  readonly #given = new Map<string, readonly string[]>();
  /** Until the first telling: all members. Then those that came since the last. */
  #added = new Set<string>();
  /** Those that left since the last telling, but not before the first. */
  #removed = new Set<string>();
  #told = false;

  /** All that `giver` gives from now on; it may give one member twice. */
  give(giver: string, members: readonly string[]): void {
    const before = this.#given.get(giver) ?? [];
    if (sameMembers(before, members)) return;
    if (members.length === 0) this.#given.delete(giver);
    else this.#given.set(giver, members);
    for (const member of members) this.#count(member, 1);
    for (const member of before) this.#count(member, -1);
  }

  /** What to tell since the last call; undefined when nothing changed. */
  takeUpdate(): MembersUpdate | undefined {
    const [add, remove] = [this.#added, this.#removed];
    if (this.#told && add.size === 0 && remove.size === 0) return undefined;
    this.#added = new Set();
    this.#removed = new Set();
    if (this.#told) return { op: "change", change: { add, remove } };
    this.#told = true;
    return { op: "set", members: add };
  }

  #count(member: string, by: 1 | -1): void {
    const before = this.#counts.get(member) ?? 0;
    const count = before + by;
    if (count === 0) this.#counts.delete(member);
    else this.#counts.set(member, count);
    if (before === 0 && !this.#removed.delete(member)) this.#added.add(member);
    if (count === 0 && !this.#added.delete(member)) this.#removed.add(member);
  }
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((member, i) => member === b[i]);
}
