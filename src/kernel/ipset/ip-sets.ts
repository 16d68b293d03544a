import type { IpFamily } from "../../lib/ip-addr.ts";
import { Turns } from "../../lib/turns.ts";
import { isErrno, NetlinkError } from "../netlink/netlink-error.ts";
import { NetlinkSocket } from "../netlink/socket.ts";
import { DesiredSets } from "./desired-sets.ts";
import { type KernelSet, missingMembers, type SetChange, sameMetadata } from "./ip-set.ts";
import { IpSetCommands, type SetRequest } from "./ipset-commands.ts";
import { ipSetErrno } from "./ipset-errno.ts";
import type { WantedSet } from "./wanted-set.ts";

const NETLINK_NETFILTER = 12;

/**
 * Our IP sets of one family, in the network namespace of the thread that makes this object (facts
 * 4.18). Desired sets are given at any time; `apply` creates and updates, `destroyUnused` removes
 * what rules no longer use: between the two the rules are changed. One call at a time.
 */
export class IpSets extends DesiredSets {
  readonly #prefix: string;
  readonly #temporary: string;
  readonly #socket: NetlinkSocket;
  readonly #commands: IpSetCommands;
  readonly #turns = new Turns(performance);
  /** What is in the kernel, as far as known: no value for sets whose members were not asked for. */
  #actual = new Map<string, KernelSet | undefined>();
  #mustList = true;

  /** `prefix`: sets whose names begin so are ours ("cali40"). */
  constructor(family: IpFamily, prefix: string) {
    super(family);
    this.#prefix = prefix;
    this.#temporary = `cali${family}t`;
    this.#socket = new NetlinkSocket(NETLINK_NETFILTER);
    this.#commands = new IpSetCommands(this.#socket, family);
  }

  /** The next apply lists the kernel first. */
  resync(): void {
    this.#mustList = true;
  }

  /**
   * Creates and updates the desired sets that are `needed` (all, when not given). A set that fails
   * does not stop the others.
   *
   * @throws {NetlinkError} when the kernel refused something; the next apply lists and tries again.
   */
  async apply(needed?: ReadonlySet<string>): Promise<void> {
    // A set that is given meanwhile was not read: written now, it would be empty.
    const all = [...this.desired];
    for (const [name, desired] of all) {
      if (desired.isUnread) await desired.read(this.#actual.get(name) === desired, this.#turns);
    }
    if (this.#mustList) await this.#list();
    const failures: NetlinkError[] = [];
    const together: [name: string, desired: WantedSet][] = [];
    for (const [name, desired] of all) {
      if (needed !== undefined && !needed.has(name)) continue;
      if (this.#actual.get(name) === desired) {
        if (desired.isChanged) together.push([name, desired]);
      } else if (!this.#actual.has(name)) {
        together.push([name, desired]);
      } else {
        const error = await this.#adapt(name, desired);
        if (error === undefined) this.#actual.set(name, desired);
        else failures.push(error);
      }
    }
    failures.push(...(await this.#changeTogether(together)));
    if (failures.length > 0) this.#mustList = true;
    const [first] = failures;
    if (first === undefined) return;
    const more = failures.length > 1 ? ` (and ${failures.length - 1} more sets failed)` : "";
    throw new NetlinkError(`${first.message}${more}`, first.detail, { cause: first });
  }

  /**
   * Destroys at most one set that nobody wants; sets that a rule still uses stay. True when one went
   * and there are more to try: so a loop over it ends.
   */
  async destroyUnused(needed?: ReadonlySet<string>): Promise<boolean> {
    const unused = [...this.#actual.keys()].filter(
      (name) => !this.desired.has(name) || (needed !== undefined && !needed.has(name)),
    );
    for (const [index, name] of unused.entries()) {
      try {
        await this.#commands.destroy(name);
      } catch (error) {
        if (isErrno(error, ipSetErrno.busy)) continue;
        if (!isErrno(error, ipSetErrno.missing)) throw error;
      }
      this.#actual.delete(name);
      return index < unused.length - 1;
    }
    return false;
  }

  close(): void {
    this.#socket.close();
  }

  /** Sets that are not there, and those that lack only what changed since. */
  async #changeTogether(sets: readonly [string, WantedSet][]): Promise<NetlinkError[]> {
    const requests = sets.map(([name, desired]): SetRequest => {
      const { add, remove } = takeChanges(desired);
      return this.#actual.has(name)
        ? { name, add, remove }
        : { name, create: desired, add: desired.members, remove: new Set() };
    });
    const failed = await this.#commands.changeMany(requests).catch(this.#unknown);
    for (const [name, desired] of sets) if (!failed.has(name)) this.#actual.set(name, desired);
    return [...failed.values()];
  }

  /** A set that is there in another form, or whose members are not known. Gives what failed. */
  async #adapt(name: string, desired: WantedSet): Promise<NetlinkError | undefined> {
    takeChanges(desired);
    try {
      const present = this.#actual.get(name) ?? (await this.#commands.list(name));
      if (present === undefined) {
        await this.#commands.create(name, desired);
        await this.#commands.add(name, desired.members);
      } else if (!sameMetadata(present, desired)) {
        await this.#replace(name, desired);
      } else {
        const missing = await missingMembers(desired.members, present.members, this.#turns);
        await this.#commands.add(name, missing);
        const unwanted = await missingMembers(present.members, desired.members, this.#turns);
        await this.#commands.remove(name, unwanted);
      }
      return undefined;
    } catch (error) {
      this.#mustList = true;
      if (!(error instanceof NetlinkError)) throw error;
      return error;
    }
  }

  /** What became of the sets is not known. */
  readonly #unknown = (error: unknown): never => {
    this.#mustList = true;
    throw error;
  };

  /**
   * A new set takes the name by a swap, so that rules never miss it. The kernel does not swap sets
   * of different types: then the old one must go first, and it goes when no rule uses it.
   */
  async #replace(name: string, desired: KernelSet): Promise<void> {
    const temporary = `${this.#temporary}0`;
    await this.#commands.destroy(temporary).catch(unlessMissing);
    await this.#commands.create(temporary, desired);
    try {
      await this.#commands.add(temporary, desired.members);
      await this.#commands.swap(temporary, name);
    } catch (error) {
      if (!isErrno(error, ipSetErrno.typeMismatch)) throw error;
      await this.#commands.destroy(name);
      await this.#commands.rename(temporary, name);
      return;
    } finally {
      await this.#commands.destroy(temporary).catch(unlessMissing);
    }
  }

  /** Names first, then our sets one by one: sets of others may be in a form we do not know. */
  async #list(): Promise<void> {
    const names = await this.#commands.listNames();
    const actual = new Map<string, KernelSet | undefined>();
    for (const name of names) {
      if (name.startsWith(this.#temporary)) actual.set(name, undefined);
      if (!name.startsWith(this.#prefix)) continue;
      if (!this.desired.has(name)) actual.set(name, undefined);
      else {
        const present = await this.#commands.list(name);
        if (present !== undefined) actual.set(name, present);
      }
    }
    this.#actual = actual;
    this.#mustList = false;
  }
}

/** What changed since the last call. Should the kernel not take it, the sets are listed again. */
function takeChanges({ added, removed }: WantedSet): SetChange {
  const change = { add: new Set(added), remove: new Set(removed) };
  added.clear();
  removed.clear();
  return change;
}

function unlessMissing(error: unknown): void {
  if (!isErrno(error, ipSetErrno.missing)) throw error;
}
