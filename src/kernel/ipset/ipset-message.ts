import { addressBits, type IpAddr, type IpFamily, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { addressOf } from "../ip/route-message.ts";
import {
  type Attributes,
  attributesOf,
  type MessageWriter,
  textOf,
  u16beOf,
  valuesOf,
} from "../netlink/message.ts";
import type { IpSetType } from "./ip-set.ts";

/** IP sets as nfnetlink messages (linux/netfilter/ipset/ip_set.h). Integers are big-endian here. */

const subsystem = 6;
type CommandName = "create" | "destroy" | "flush" | "rename" | "swap" | "list" | "add" | "remove";

export const ipsetCommand: Readonly<Record<CommandName, number>> = {
  create: command(2),
  destroy: command(3),
  flush: command(4),
  rename: command(5),
  swap: command(6),
  list: command(7),
  add: command(9),
  remove: command(10),
};

const protocol = 7;
const attribute = {
  protocol: 1,
  name: 2,
  typeName: 3,
  name2: 3,
  revision: 4,
  family: 5,
  flags: 6,
  data: 7,
  entries: 8,
  lineNumber: 9,
};
const entry = { address: 1, cidr: 3, port: 4, protocolNumber: 7 };
const creation = { hashSize: 18, maxElements: 19 };
const address = { v4: 1, v6: 2 };
const netByteOrder = 0x4000;
const listNamesOnly = 4;
const smallestHash = 1024;
const largestHash = 1 << 20;
const dot = 0x2e;
const digitZero = 0x30;

/** Since Linux 3.4 and older: what newer revisions add we do not use. */
const revisions: Readonly<Record<IpSetType, number>> = {
  "hash:net": 2,
  "hash:ip": 0,
  "hash:ip,port": 1,
};

const protocolNumbers: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

function command(number: number): number {
  return (subsystem << 8) | number;
}

/** struct nfgenmsg, then the attributes that every ipset request carries. */
export function writeSetHeader(writer: MessageWriter, name?: string, family: IpFamily = 4): void {
  writer.header(Uint8Array.of(family === 4 ? 2 : 10, 0, 0, 0));
  writer.u8(attribute.protocol, protocol);
  if (name !== undefined) writer.text(attribute.name, name);
}

export function writeCreate(
  writer: MessageWriter,
  set: {
    readonly name: string;
    readonly type: IpSetType;
    readonly family: IpFamily;
    readonly maxElements: number;
    /** So many members will be added at once: saves the kernel from growing the set step by step. */
    readonly expected: number;
  },
): void {
  writeSetHeader(writer, set.name, set.family);
  writer.text(attribute.typeName, set.type);
  writer.u8(attribute.revision, revisions[set.type]);
  writer.u8(attribute.family, set.family === 4 ? 2 : 10);
  writer.nest(attribute.data, () => {
    u32be(writer, creation.hashSize, Math.max(smallestHash, Math.min(set.expected, largestHash)));
    u32be(writer, creation.maxElements, set.maxElements);
  });
}

/** Body of swap and rename. */
export function writeTwoNames(writer: MessageWriter, from: string, to: string): void {
  writeSetHeader(writer, from);
  writer.text(attribute.name2, to);
}

export function writeList(writer: MessageWriter, name?: string): void {
  writeSetHeader(writer, name);
  if (name === undefined) u32be(writer, attribute.flags, listNamesOnly);
}

/** One message with many members: "10.0.0.0/26", "10.0.0.1,tcp:80". Hot: see `kernelMembers`. */
export function writeMembers(
  writer: MessageWriter,
  set: { readonly name: string; readonly family: IpFamily; readonly members: readonly string[] },
): void {
  writeSetHeader(writer, set.name, set.family);
  u32be(writer, attribute.lineNumber, 0);
  let member = "";
  const fill = () => writeMember(writer, member);
  writer.nest(attribute.entries, () => {
    for (member of set.members) writer.nest(attribute.data, fill);
  });
}

function writeMember(writer: MessageWriter, member: string): void {
  const slash = member.indexOf("/");
  const end = slash < 0 ? member.indexOf(",") : slash;
  const text = end < 0 ? member : member.slice(0, end);
  writer.nest(entry.address, () => {
    if (text.includes(":")) {
      writer.attribute(address.v6 | netByteOrder, ipBytes(text as IpAddr));
    } else u32be(writer, address.v4, bitsOfV4(text));
  });
  if (slash >= 0) writer.u8(entry.cidr, Number(member.slice(slash + 1)));
  else if (end >= 0) {
    const [name = "", port = ""] = member.slice(end + 1).split(":");
    writer.u16be(entry.port | netByteOrder, Number(port));
    writer.u8(entry.protocolNumber, protocolNumbers[name] ?? Number(name));
  }
}

/** An IPv4 address in canonical text as a number. */
function bitsOfV4(text: string): number {
  let [bits, octet] = [0, 0];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === dot) {
      bits = (bits << 8) | octet;
      octet = 0;
    } else octet = octet * 10 + code - digitZero;
  }
  return ((bits << 8) | octet) >>> 0;
}

function u32be(writer: MessageWriter, type: number, value: number): void {
  writer.u32be(type | netByteOrder, value);
}

export interface ListedSet {
  readonly name: string;
  readonly type: string;
  readonly maxElements: number;
  readonly members: readonly string[];
}

/** A part of a set's listing: long sets come in several messages. */
export function readListedSet(body: Buffer): ListedSet | undefined {
  const attributes = attributesOf(body, 4);
  const name = textOf(attributes.get(attribute.name));
  if (name === undefined) return undefined;
  const type = textOf(attributes.get(attribute.typeName)) ?? "";
  const header = attributes.get(attribute.data);
  const entries = attributes.get(attribute.entries);
  return {
    name,
    type,
    maxElements: maxElementsOf(header),
    members: entries === undefined ? [] : membersOf(entries),
  };
}

function maxElementsOf(header: Buffer | undefined): number {
  const value = header && attributesOf(header).get(creation.maxElements);
  return value?.length === 4 ? value.readUInt32BE(0) : 0;
}

function membersOf(entries: Buffer): string[] {
  return valuesOf(entries).flatMap((entry) => memberText(attributesOf(entry)) ?? []);
}

/** Its form follows from what it has: only the first message of a long set tells the set's type. */
function memberText(attributes: Attributes): string | undefined {
  const nested = attributes.get(entry.address);
  if (nested === undefined) return undefined;
  const inner = attributesOf(nested);
  const ip = addressOf(inner.get(address.v4) ?? inner.get(address.v6));
  if (ip === undefined) return undefined;
  const port = u16beOf(attributes.get(entry.port));
  if (port === undefined) {
    return `${ip}/${attributes.get(entry.cidr)?.[0] ?? addressBits[ipFamily(ip)]}`;
  }
  const number = attributes.get(entry.protocolNumber)?.[0] ?? 0;
  const name = Object.entries(protocolNumbers).find(([, value]) => value === number)?.[0] ?? number;
  return `${ip},${name}:${port}`;
}
