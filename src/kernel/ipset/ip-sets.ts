import type { IpFamily } from "../../lib/ip-addr.ts";
import { type Prefix, parsePrefix, prefixFamily, prefixLength } from "../../lib/prefix.ts";
import { attributesOf, type MessageWriter, textOf } from "../netlink/message.ts";
import { NetlinkError, NetlinkSocket } from "../netlink/socket.ts";
import {
  type IpSetType,
  ipsetCommand,
  readListedSet,
  writeCreate,
  writeList,
  writeMembers,
  writeSetHeader,
  writeSwap,
} from "./ipset-message.ts";

export interface DesiredSet {
  readonly type: IpSetType;
  /** "10.0.0.0/26", or "10.0.0.1,tcp:80". Those of the other family are passed over. */
  readonly members: ReadonlySet<string>;
}

const NETLINK_NETFILTER = 12;
const NLM_F_CREATE = 0x400;
const ENOENT = 2;
const IPSET_ERR_BUSY = 4100;
const maxElements = 1_048_576;
/** A nested attribute holds 64 KB: about 2,000 members. */
const membersPerMessage = 1000;

/**
 * Our IP sets of one family (facts 4.18). Desired sets are set at any time; `apply` creates and
 * updates, `destroyUnused` removes what rules no longer use: between the two the rules are changed.
 */
export class IpSets {
  readonly #family: IpFamily;
  readonly #prefix: string;
  readonly #socket: NetlinkSocket;
  readonly #desired = new Map<string, DesiredSet>();
  /** What is in the kernel, as far as known. Undefined: to be listed. */
  #actual: Map<string, DesiredSet> | undefined;
  #temporary = 0;

  /** `prefix`: sets whose names begin so are ours ("cali40"). */
  constructor(family: IpFamily, prefix: string) {
    this.#family = family;
    this.#prefix = prefix;
    this.#socket = new NetlinkSocket(NETLINK_NETFILTER);
  }

  set(name: string, desired: DesiredSet): void {
    const members = new Set<string>();
    for (const member of desired.members) {
      for (const own of kernelMembers(member, this.#family)) members.add(own);
    }
    this.#desired.set(name, { type: desired.type, members });
  }

  delete(name: string): void {
    this.#desired.delete(name);
  }

  /** The next apply lists the kernel first. */
  resync(): void {
    this.#actual = undefined;
  }

  /**
   * Creates and updates the desired sets that are `needed`.
   *
   * @throws {NetlinkError} when the kernel refuses; the next apply lists and tries again.
   */
  apply(needed: ReadonlySet<string>): void {
    try {
      this.#actual ??= this.#list();
      for (const [name, desired] of this.#desired) {
        if (needed.has(name)) this.#applySet(name, desired, this.#actual);
      }
    } catch (error) {
      this.#actual = undefined;
      throw error;
    }
  }

  /** Destroys one set that nobody wants. A set that a rule still uses stays. True: there are more. */
  destroyUnused(needed: ReadonlySet<string>): boolean {
    const actual = this.#actual ?? new Map<string, DesiredSet>();
    const unused = [...actual.keys()].filter(
      (name) => !needed.has(name) || !this.#desired.has(name),
    );
    const [name] = unused;
    if (name === undefined) return false;
    const fill = (writer: MessageWriter) => writeSetHeader(writer, name);
    try {
      this.#request(ipsetCommand.destroy, 0, fill, `Cannot destroy set ${name}`);
      actual.delete(name);
    } catch (error) {
      if (!(error instanceof NetlinkError)) throw error;
      if (error.errno === ENOENT) actual.delete(name);
      else if (error.errno !== IPSET_ERR_BUSY) throw error;
      return unused.length > 1 || error.errno === IPSET_ERR_BUSY;
    }
    return unused.length > 1;
  }

  close(): void {
    this.#socket.close();
  }

  #applySet(name: string, desired: DesiredSet, actual: Map<string, DesiredSet>): void {
    const present = actual.get(name);
    if (present === undefined) {
      this.#create(name, desired.type);
      this.#change("add", name, desired.members);
    } else if (present.type !== desired.type) {
      this.#replace(name, desired);
    } else {
      this.#change("add", name, desired.members.difference(present.members));
      this.#change("remove", name, present.members.difference(desired.members));
    }
    actual.set(name, desired);
  }

  /** Another type: a new set takes the name by a swap, so that rules never miss it. */
  #replace(name: string, desired: DesiredSet): void {
    const temporary = `cali${this.#family}t${this.#temporary++}`;
    this.#create(temporary, desired.type);
    this.#change("add", temporary, desired.members);
    const swap = (writer: MessageWriter) => writeSwap(writer, temporary, name);
    this.#request(ipsetCommand.swap, 0, swap, `Cannot replace set ${name}`);
    const destroy = (writer: MessageWriter) => writeSetHeader(writer, temporary);
    this.#request(ipsetCommand.destroy, 0, destroy, `Cannot destroy set ${temporary}`);
  }

  #create(name: string, type: IpSetType): void {
    const set = { name, type, family: this.#family, maxElements };
    const fill = (writer: MessageWriter) => writeCreate(writer, set);
    this.#request(ipsetCommand.create, NLM_F_CREATE, fill, `Cannot create set ${name}`);
  }

  #change(command: "add" | "remove", name: string, members: ReadonlySet<string>): void {
    const all = [...members];
    for (let start = 0; start < all.length; start += membersPerMessage) {
      const part = all.slice(start, start + membersPerMessage);
      const set = { name, family: this.#family, members: part };
      const fill = (writer: MessageWriter) => writeMembers(writer, set);
      this.#request(ipsetCommand[command], 0, fill, `Cannot change set ${name}`);
    }
  }

  #request(type: number, flags: number, fill: (writer: MessageWriter) => void, what: string): void {
    this.#socket.request({ type, flags, fill }, what);
  }

  #list(): Map<string, DesiredSet> {
    const names = this.#socket.dump(
      { type: ipsetCommand.list, flags: 0, fill: (writer) => writeList(writer) },
      "Cannot list sets",
      ({ body }) => textOf(attributesOf(body, 4).get(2)),
    );
    const ours = names.filter((name) => name.startsWith(this.#prefix));
    return new Map(
      ours.map((name) => {
        const parts = this.#socket.dump(
          { type: ipsetCommand.list, flags: 0, fill: (writer) => writeList(writer, name) },
          `Cannot list set ${name}`,
          ({ body }) => readListedSet(body),
        );
        const members = new Set(parts.flatMap((part) => part.members));
        return [name, { type: (parts[0]?.type ?? "") as IpSetType, members }];
      }),
    );
  }
}

/** As the kernel lists it. A set of nets cannot hold /0: two /1 are the same. */
export function kernelMembers(member: string, family: IpFamily): string[] {
  const [addressText = "", port] = member.split(",");
  const prefix: Prefix = parsePrefix(addressText);
  if (prefixFamily(prefix) !== family) return [];
  if (port !== undefined) return [member];
  if (prefixLength(prefix) > 0) return [prefix];
  return family === 4 ? ["0.0.0.0/1", "128.0.0.0/1"] : ["::/1", "8000::/1"];
}
