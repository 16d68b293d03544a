import type { IpFamily } from "../../lib/ip-addr.ts";
import type { TurnTaking } from "../../lib/turns.ts";
import {
  type DesiredSet,
  type IpSetType,
  type KernelSet,
  kernelMembers,
  type SetChange,
} from "./ip-set.ts";

const defaultMaxElements = 1_048_576;

/**
 * A desired set in the kernel's form. What is given is read later, in slices: a million members take
 * more than a second.
 */
export class WantedSet implements KernelSet {
  readonly type: IpSetType;
  readonly maxElements: number;
  readonly members: Set<string> = new Set();
  /** What the kernel lacks, once it has had this very set. */
  readonly added: Set<string> = new Set();
  /** What the kernel has too much, once it has had this very set. */
  readonly removed: Set<string> = new Set();
  readonly #family: IpFamily;
  /** Given since the last `read`. */
  readonly #unread: SetChange[];

  constructor({ type, maxElements = defaultMaxElements, members }: DesiredSet, family: IpFamily) {
    this.type = type;
    this.maxElements = maxElements;
    this.#family = family;
    this.#unread = [{ add: members, remove: new Set() }];
  }

  change(change: SetChange): void {
    this.#unread.push(change);
  }

  /** Something was given since the last `read`. */
  get isUnread(): boolean {
    return this.#unread.length > 0;
  }

  /** The kernel has had this very set, and lacks something or has something too much. */
  get isChanged(): boolean {
    return this.added.size + this.removed.size > 0;
  }

  /** Takes in what was given. `inKernel`: the kernel has had this set; then the differences are noted. */
  async read(inKernel: boolean, turns: TurnTaking): Promise<void> {
    for (let next = this.#unread.shift(); next !== undefined; next = this.#unread.shift()) {
      for (const member of kernelMembers(next.remove, this.#family)) {
        this.#remove(member, inKernel);
        if (turns.isOver) await turns.next();
      }
      for (const member of kernelMembers(next.add, this.#family)) {
        this.#add(member, inKernel);
        if (turns.isOver) await turns.next();
      }
    }
  }

  #remove(member: string, inKernel: boolean): void {
    if (this.members.delete(member) && inKernel && !this.added.delete(member)) {
      this.removed.add(member);
    }
  }

  #add(member: string, inKernel: boolean): void {
    if (this.members.has(member)) return;
    this.members.add(member);
    if (inKernel && !this.removed.delete(member)) this.added.add(member);
  }
}
