import { ByteWriter } from "../../lib/byte-writer.ts";
import { type IpAddr, type IpFamily, ipFamily } from "../../lib/ip-addr.ts";
import { octetsOf } from "./address-memo.ts";
import { attributeFlag } from "./attribute-flag.ts";
import { attributeCode } from "./attribute-row.ts";
import type { EncodeOptions } from "./context.ts";
import { writeAttribute, writeAttributes } from "./encode-attributes.ts";
import { afiOf, safiUnicast } from "./family.ts";
import {
  frameMessage,
  headerLength,
  messageType,
  maxMessageLength as standardMaxLength,
} from "./header.ts";
import type { PackedPrefixes, PathAttributes } from "./message.ts";
import { fitNlri, writeNlri } from "./nlri.ts";

/** Prefixes to announce with the same attributes and next hop. */
export interface Announcement {
  readonly attributes: PathAttributes;
  /** Of the family of the prefixes; IPv6 for IPv4 where EncodeOptions.extendedNextHop allows it. */
  readonly nextHop: IpAddr;
  readonly prefixes: PackedPrefixes;
}

/** Withdrawn Routes Length and Total Path Attribute Length. */
const lengthFields = 4;
/** Flags, code and a length of two octets. */
const attributeHeader = 4;
const marker = new Uint8Array(16).fill(0xff);

/** Octets before and behind the prefixes: made anew by each encoding, which do not nest. */
const head = new ByteWriter(4096);
const tail = new ByteWriter(4096);

/** What decides on the form of withdrawals. */
export type WithdrawOptions = Pick<EncodeOptions, "addPath" | "maxMessageLength">;

/** The messages of writeUpdates(), one by one. */
export function encodeUpdates(announcement: Announcement, options: EncodeOptions): Uint8Array[] {
  const to = new ByteWriter(256);
  writeUpdates(announcement, options, to);
  return splitMessages(to.finish());
}

/** The messages of writeWithdrawals(), one by one. */
export function encodeWithdrawals(
  prefixes: PackedPrefixes,
  options: WithdrawOptions = {},
): Uint8Array[] {
  const to = new ByteWriter(256);
  writeWithdrawals(prefixes, options, to);
  return splitMessages(to.finish());
}

/**
 * Whole UPDATE messages, each with as many prefixes as fit. IPv4 goes into the NLRI field; IPv6, and
 * IPv4 with an IPv6 next hop (RFC 8950), into MP_REACH_NLRI, which comes first (RFC 7606 section 5.1).
 *
 * Where the attributes leave no room for a prefix, the prefixes are withdrawn instead: the peer must
 * not keep an older path (as RFC 8654 section 4 asks of a message that would be too long).
 */
export function writeUpdates(
  { attributes, nextHop, prefixes }: Announcement,
  options: EncodeOptions,
  to: ByteWriter,
): void {
  const { family } = prefixes;
  const nextHopFamily = ipFamily(nextHop);
  if (nextHopFamily !== family && !(nextHopFamily === 6 && options.extendedNextHop)) {
    throw new RangeError(`Cannot announce IPv${family} prefixes with next hop ${nextHop}`);
  }
  const start = to.length;
  head.truncate(0).u16(0).u16(0);
  tail.truncate(0);
  const isClassic = nextHopFamily === 4;
  if (isClassic) writeAttributes({ attributes, nextHop }, options, head);
  else {
    writeReachHead(family, nextHop);
    writeAttributes({ attributes }, options, tail);
  }
  // Attributes over 65535 octets leave no room for a prefix: their length is never sent.
  head.patchU16(2, (head.length - lengthFields + tail.length) & 0xffff);
  if (fill(prefixes, isClassic ? [] : [2, 6], { options, to })) return;
  to.truncate(start);
  writeWithdrawals(prefixes, options, to);
}

/** Whole UPDATE messages that withdraw the prefixes. */
export function writeWithdrawals(
  prefixes: PackedPrefixes,
  options: WithdrawOptions,
  to: ByteWriter,
): void {
  head.truncate(0).u16(0);
  tail.truncate(0);
  if (prefixes.family === 4) {
    tail.u16(0);
    fill(prefixes, [0], { options, to });
    return;
  }
  head.u16(attributeHeader + 3);
  head.u8(attributeFlag.optional | attributeFlag.extendedLength).u8(attributeCode.mpUnreach);
  head.u16(3).u16(afiOf(6)).u8(safiUnicast);
  fill(prefixes, [2, 6], { options, to });
}

/** The marker that all routes of `family` have been sent (RFC 4724 section 2). */
export function encodeEndOfRib(family: IpFamily): Uint8Array {
  const body = new ByteWriter(16).u16(0).u16(0);
  if (family === 6) {
    const value = new ByteWriter(3).u16(afiOf(family)).u8(safiUnicast).finish();
    writeAttribute({ flags: attributeFlag.optional, code: attributeCode.mpUnreach, value }, body);
    body.patchU16(2, body.length - lengthFields);
  }
  return frameMessage(messageType.update, body.finish());
}

function writeReachHead(family: IpFamily, nextHop: IpAddr): void {
  head.u8(attributeFlag.optional | attributeFlag.extendedLength).u8(attributeCode.mpReach);
  // AFI, SAFI, length of next hop, next hop, reserved.
  head
    .u16(2 + 1 + 1 + 16 + 1)
    .u16(afiOf(family))
    .u8(safiUnicast);
  head.u8(16).bytes(octetsOf(nextHop)).u8(0);
}

/**
 * Writes messages of head, prefixes and tail. `grows`: offsets in the head of 16-bit lengths that the
 * prefixes add to. False, with something half written, when a prefix does not fit.
 */
function fill(
  prefixes: PackedPrefixes,
  grows: readonly number[],
  { options, to }: { readonly options: WithdrawOptions; readonly to: ByteWriter },
): boolean {
  const { addPath = false, maxMessageLength = standardMaxLength } = options;
  const before = head.view();
  const behind = tail.view();
  const around = headerLength + before.length + behind.length;
  let first = 0;
  while (first < prefixes.count) {
    const { count, octets } = fitNlri(prefixes, first, {
      room: maxMessageLength - around,
      addPath,
    });
    if (count === 0) return false;
    to.bytes(marker)
      .u16(around + octets)
      .u8(messageType.update);
    const body = to.length;
    to.bytes(before);
    const end = first + count;
    writeNlri(prefixes, { first, end, addPath }, { target: to.space(octets), offset: 0 });
    to.bytes(behind);
    for (const at of grows) to.patchU16(body + at, u16At(before, at) + octets);
    first = end;
  }
  return true;
}

function u16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function splitMessages(bytes: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + u16At(bytes, at + 16);
    messages.push(bytes.subarray(at, end));
    at = end;
  }
  return messages;
}
