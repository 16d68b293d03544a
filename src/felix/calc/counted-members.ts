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
  readonly #members = new Set<string>();
  /** How many more than one give a member: few are given twice. */
  readonly #more = new Map<string, number>();
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
    for (const member of members) this.#add(member);
    for (const member of before) this.#subtract(member);
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

  #add(member: string): void {
    const { size } = this.#members;
    this.#members.add(member);
    if (this.#members.size === size) this.#more.set(member, (this.#more.get(member) ?? 0) + 1);
    else if (!this.#removed.delete(member)) this.#added.add(member);
  }

  #subtract(member: string): void {
    const more = this.#more.get(member) ?? 0;
    if (more > 1) this.#more.set(member, more - 1);
    else if (more === 1) this.#more.delete(member);
    else {
      this.#members.delete(member);
      if (!this.#added.delete(member)) this.#removed.add(member);
    }
  }
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((member, i) => member === b[i]);
}
