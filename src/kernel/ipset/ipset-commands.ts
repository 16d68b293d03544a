import type { IpFamily } from "../../lib/ip-addr.ts";
import { Turns } from "../../lib/turns.ts";
import type { MessageWriter } from "../netlink/message.ts";
import { isErrno, type NetlinkError, systemError } from "../netlink/netlink-error.ts";
import type { NetlinkSocket, Request } from "../netlink/socket.ts";
import type { KernelSet } from "./ip-set.ts";
import { ipSetErrno, ipSetErrnoText } from "./ipset-errno.ts";
import {
  ipsetCommand,
  type ListedSet,
  readListedSet,
  writeCreate,
  writeList,
  writeMembers,
  writeSetHeader,
  writeTwoNames,
} from "./ipset-message.ts";

const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
/** A nested attribute holds 64 KB: about 1,100 members of the longest kind. */
const membersPerMessage = 1000;

/** What to do with one set: to make it first, when it is not there. */
export interface SetRequest {
  readonly name: string;
  readonly create?: KernelSet;
  readonly add: ReadonlySet<string>;
  readonly remove: ReadonlySet<string>;
}

/**
 * What ipset(8) does, over one nfnetlink socket. All of it throws a NetlinkError when the kernel
 * refuses; adding what is there and removing what is not are no refusals.
 */
export class IpSetCommands {
  readonly #socket: NetlinkSocket;
  readonly #family: IpFamily;

  constructor(socket: NetlinkSocket, family: IpFamily) {
    this.#socket = socket;
    this.#family = family;
  }

  /** Creates an empty set, with room for the members that are to come. */
  create(name: string, set: KernelSet): Promise<void> {
    return this.#send([this.#creation(name, set)], `Cannot create set ${name}`);
  }

  add(name: string, members: Iterable<string>): Promise<void> {
    return this.#send(this.#changes(ipsetCommand.add, name, members), changing(name));
  }

  remove(name: string, members: Iterable<string>): Promise<void> {
    return this.#send(this.#changes(ipsetCommand.remove, name, members), changing(name));
  }

  /** Changes of many sets in as few exchanges as can be. Gives what failed, by set. */
  async changeMany(changes: readonly SetRequest[]): Promise<Map<string, NetlinkError>> {
    const names: string[] = [];
    const requests = changes.flatMap(({ name, create, add, remove }) => {
      const some = [
        ...(create === undefined ? [] : [this.#creation(name, create)]),
        ...this.#changes(ipsetCommand.add, name, add),
        ...this.#changes(ipsetCommand.remove, name, remove),
      ];
      names.push(...some.map(() => name));
      return some;
    });
    const failed = new Map<string, NetlinkError>();
    for (const { index, errno } of await this.#socket.batch(requests)) {
      const name = names[index] ?? "";
      // What follows from the first failure says less than that.
      if (!failed.has(name))
        failed.set(name, systemError(changing(name), errno, ipSetErrnoText(errno)));
    }
    return failed;
  }

  flush(name: string): Promise<void> {
    return this.#named(ipsetCommand.flush, name, `Cannot flush set ${name}`);
  }

  destroy(name: string): Promise<void> {
    return this.#named(ipsetCommand.destroy, name, `Cannot destroy set ${name}`);
  }

  /** The two sets exchange their members: what uses one by its name uses the other's from now. */
  swap(from: string, to: string): Promise<void> {
    return this.#twoNames(ipsetCommand.swap, [from, to], `Cannot swap sets ${from} and ${to}`);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#twoNames(ipsetCommand.rename, [from, to], `Cannot rename set ${from} to ${to}`);
  }

  /** Names of all sets of all families, ours or not. */
  async listNames(): Promise<string[]> {
    const sets = await this.#list(undefined, "Cannot list sets");
    return sets.map(({ name }) => name);
  }

  /** Undefined when there is no such set. */
  async list(name: string): Promise<KernelSet | undefined> {
    try {
      const parts = await this.#list(name, `Cannot list set ${name}`);
      const [first] = parts;
      if (first === undefined) return undefined;
      const members = new Set<string>();
      const turns = new Turns(performance);
      for (const part of parts) {
        for (const member of part.members) members.add(member);
        if (turns.isOver) await turns.next();
      }
      const { type, maxElements } = first;
      // A type that is none of ours differs from what is wanted: it is replaced like any other.
      return { type: type as KernelSet["type"], maxElements, members };
    } catch (error) {
      if (isErrno(error, ipSetErrno.missing)) return undefined;
      throw error;
    }
  }

  #list(name: string | undefined, what: string): Promise<ListedSet[]> {
    return this.#socket.dump(
      { type: ipsetCommand.list, flags: 0, fill: (writer) => writeList(writer, name) },
      what,
      ({ body }) => readListedSet(body),
    );
  }

  #named(type: number, name: string, what: string): Promise<void> {
    const fill = (writer: MessageWriter) => writeSetHeader(writer, name);
    return this.#send([{ type, flags: 0, fill }], what);
  }

  #twoNames(type: number, names: readonly [string, string], what: string): Promise<void> {
    const fill = (writer: MessageWriter) => writeTwoNames(writer, ...names);
    return this.#send([{ type, flags: 0, fill }], what);
  }

  #creation(name: string, { type, maxElements, members }: KernelSet): Request {
    const settings = { name, type, maxElements, family: this.#family, expected: members.size };
    return {
      type: ipsetCommand.create,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      fill: (writer) => writeCreate(writer, settings),
    };
  }

  #changes(type: number, name: string, members: Iterable<string>): Request[] {
    const all = [...members];
    const requests: Request[] = [];
    for (let start = 0; start < all.length; start += membersPerMessage) {
      const part = all.slice(start, start + membersPerMessage);
      const set = { name, family: this.#family, members: part };
      requests.push({ type, flags: 0, fill: (writer) => writeMembers(writer, set) });
    }
    return requests;
  }

  async #send(requests: readonly Request[], what: string): Promise<void> {
    const [failure] = await this.#socket.batch(requests);
    if (failure !== undefined) {
      throw systemError(what, failure.errno, ipSetErrnoText(failure.errno));
    }
  }
}

function changing(name: string): string {
  return `Cannot change the members of set ${name}`;
}
