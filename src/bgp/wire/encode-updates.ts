import { ByteWriter } from "../../lib/byte-writer.ts";
import { type IpAddr, type IpFamily, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { attributeFlag } from "./attribute-rows.ts";
import { encodeAttribute, encodeAttributes } from "./attributes.ts";
import type { EncodeOptions } from "./context.ts";
import { afiOf, safiUnicast } from "./family.ts";
import {
  frameMessage,
  headerLength,
  maxMessageLength,
  messageType,
  writeHeader,
} from "./header.ts";
import type { PackedPrefixes, PathAttributes } from "./message.ts";
import { fitNlri, writeNlri } from "./nlri.ts";

/** Prefixes to announce with the same attributes and next hop. */
export interface Announcement {
  readonly attributes: PathAttributes;
  /** Of the family of the prefixes. */
  readonly nextHop: IpAddr;
  readonly prefixes: PackedPrefixes;
}

const code = { nextHop: 3, mpReach: 14, mpUnreach: 15 } as const;
/** Withdrawn Routes Length and Total Path Attribute Length. */
const lengthFields = 4;
/** Flags, code and a length of two octets. */
const attributeHeader = 4;

/**
 * A message's octets around its prefixes. `grows` are offsets of 16-bit lengths that the prefixes
 * add to.
 */
interface Template {
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
  readonly grows: readonly number[];
}

/**
 * Whole UPDATE messages, each with as many prefixes as fit. IPv4 goes into the NLRI field, IPv6 into
 * MP_REACH_NLRI, which comes first (RFC 7606 section 5.1).
 *
 * Where the attributes leave no room for a prefix, the prefixes are withdrawn instead: the peer must
 * not keep an older path (as RFC 8654 section 4 asks of a message that would be too long).
 */
export function encodeUpdates(announcement: Announcement, options: EncodeOptions): Uint8Array[] {
  const { attributes, nextHop, prefixes } = announcement;
  if (ipFamily(nextHop) !== prefixes.family) {
    throw new RangeError(`Cannot announce IPv${prefixes.family} prefixes with next hop ${nextHop}`);
  }
  const encoded = encodeAttributes(attributes, options);
  const template =
    prefixes.family === 4
      ? announce4(encoded, nextHop)
      : announce6(
          encoded.map(({ bytes }) => bytes),
          nextHop,
        );
  return fill(template, prefixes, options) ?? encodeWithdrawals(prefixes, options);
}

/** What decides on the form of withdrawals. */
export type WithdrawOptions = Pick<EncodeOptions, "addPath">;

/** Whole UPDATE messages that withdraw the prefixes. */
export function encodeWithdrawals(
  prefixes: PackedPrefixes,
  options: WithdrawOptions = {},
): Uint8Array[] {
  if (prefixes.family === 4) {
    const template = { head: new Uint8Array(2), tail: new Uint8Array(2), grows: [0] };
    return fill(template, prefixes, options) ?? [];
  }
  const head = new ByteWriter(16).u16(0).u16(attributeHeader + 3);
  head.u8(attributeFlag.optional | attributeFlag.extendedLength).u8(code.mpUnreach);
  head.u16(3).u16(afiOf(6)).u8(safiUnicast);
  const template = { head: head.finish(), tail: new Uint8Array(0), grows: [2, 6] };
  return fill(template, prefixes, options) ?? [];
}

/** The marker that all routes of `family` have been sent (RFC 4724 section 2). */
export function encodeEndOfRib(family: IpFamily): Uint8Array {
  if (family === 4) return frameMessage(messageType.update, new Uint8Array(lengthFields));
  const value = new ByteWriter(3).u16(afiOf(family)).u8(safiUnicast).finish();
  const flags = attributeFlag.optional;
  const attribute = encodeAttribute({ flags, code: code.mpUnreach, value });
  const body = new ByteWriter(16).u16(0).u16(attribute.length).bytes(attribute).finish();
  return frameMessage(messageType.update, body);
}

function announce4(
  encoded: readonly { readonly code: number; readonly bytes: Uint8Array }[],
  nextHop: IpAddr,
): Template {
  const value = ipBytes(nextHop);
  const bytes = encodeAttribute({ flags: attributeFlag.transitive, code: code.nextHop, value });
  const all = [...encoded, { code: code.nextHop, bytes }].sort((a, b) => a.code - b.code);
  const attributes = concat(all.map((attribute) => attribute.bytes));
  const head = new ByteWriter(256)
    .u16(0)
    .u16(attributes.length & 0xffff)
    .bytes(attributes);
  return { head: head.finish(), tail: new Uint8Array(0), grows: [] };
}

function announce6(encoded: readonly Uint8Array[], nextHop: IpAddr): Template {
  const tail = concat(encoded);
  const reach = new ByteWriter(32).u16(afiOf(6)).u8(safiUnicast);
  reach.u8(16).bytes(ipBytes(nextHop)).u8(0);
  const head = new ByteWriter(64)
    .u16(0)
    .u16((attributeHeader + reach.length + tail.length) & 0xffff);
  head.u8(attributeFlag.optional | attributeFlag.extendedLength).u8(code.mpReach);
  head.u16(reach.length).bytes(reach.finish());
  return { head: head.finish(), tail, grows: [2, 6] };
}

/** Undefined when not even one prefix fits. */
function fill(
  { head, tail, grows }: Template,
  prefixes: PackedPrefixes,
  { addPath = false }: WithdrawOptions,
): Uint8Array[] | undefined {
  const room = maxMessageLength - headerLength - head.length - tail.length;
  const messages: Uint8Array[] = [];
  let first = 0;
  while (first < prefixes.count) {
    const { count, octets } = fitNlri(prefixes, first, { room, addPath });
    if (count === 0) return undefined;
    const message = new Uint8Array(headerLength + head.length + octets + tail.length);
    writeHeader(message, messageType.update);
    message.set(head, headerLength);
    const offset = headerLength + head.length;
    writeNlri(prefixes, { first, end: first + count, addPath }, { target: message, offset });
    message.set(tail, offset + octets);
    for (const at of grows) addU16(message, headerLength + at, octets);
    messages.push(message);
    first += count;
  }
  return messages;
}

function addU16(bytes: Uint8Array, at: number, amount: number): void {
  const sum = (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) + amount;
  bytes[at] = sum >>> 8;
  bytes[at + 1] = sum;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const to = new ByteWriter(256);
  for (const part of parts) to.bytes(part);
  return to.finish();
}
