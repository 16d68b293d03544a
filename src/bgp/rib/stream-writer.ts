import type { IpFamily } from "../../lib/ip-addr.ts";
import { attributeCode } from "../wire/attribute-row.ts";
import type { EncodeOptions } from "../wire/context.ts";
import { afiOf, safiUnicast } from "../wire/family.ts";
import {
  headerLength,
  messageType,
  maxMessageLength as standardMaxLength,
} from "../wire/header.ts";
import type { PackedPrefixes } from "../wire/message.ts";
import { encodeRouteFor } from "../wire/route-bytes.ts";
import type { AttributeStore } from "./attribute-store.ts";
import { u16 } from "./route-view.ts";

const slabBytes = 256 * 1024;
/** Withdrawn Routes Length and Total Path Attribute Length. */
const lengthFields = 4;
const mpHeader = 4;
const optionalLong = 0x90;

/** Octets of a set of attributes, and the attribute of them that has the next hop. */
interface RouteOctets {
  readonly buffer: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** NEXT_HOP or the MP_REACH_NLRI of route-bytes.ts: from `at` to `valueEnd`. */
  readonly code: number;
  readonly at: number;
  readonly value: number;
  readonly valueEnd: number;
}

/** Prefixes of a table by their ids, with path identifiers where there are any. */
export interface Listed {
  readonly prefixes: PackedPrefixes;
  readonly ids: Uint32Array;
  readonly pathIds?: Uint32Array | undefined;
}

/**
 * Writes whole UPDATE messages one behind the other, as few as can be (one a set of attributes, 4096
 * octets each). IPv4 with an IPv4 next hop goes into the NLRI field, everything else into
 * MP_REACH_NLRI, which comes first (RFC 7606 section 5.1).
 *
 * A hot path: the octets of interned attributes are copied as they are (measured: a message of 6
 * prefixes 0.2 us; through objects 4 us).
 */
export class StreamWriter {
  readonly #family: IpFamily;
  readonly #attributes: AttributeStore;
  readonly #options: EncodeOptions;
  readonly #maxLength: number;
  #bytes = new Uint8Array(0);
  #start = 0;
  #at = 0;
  /** Where the prefixes of the present call end. */
  #listEnd = 0;

  constructor(family: IpFamily, attributes: AttributeStore, options: EncodeOptions) {
    this.#family = family;
    this.#attributes = attributes;
    this.#options = options;
    this.#maxLength = options.maxMessageLength ?? standardMaxLength;
  }

  /** Octets since the last `finish`. */
  get length(): number {
    return this.#at - this.#start;
  }

  /** What was written since the last time: never written to again. */
  finish(): Uint8Array {
    const bytes = this.#bytes.subarray(this.#start, this.#at);
    this.#start = this.#at;
    return bytes;
  }

  withdraw(listed: Listed, from = 0, to: number = listed.ids.length): void {
    let first = from;
    this.#listEnd = to;
    while (first < to) {
      const message = this.#begin(this.#maxLength);
      let body = message + headerLength;
      if (this.#family === 4) {
        first = this.#writeNlri(listed, first, body + 2, message + this.#maxLength - 2);
        this.#putU16(body, this.#at - body - 2);
        this.#putU16(this.#at, 0);
        this.#at += 2;
      } else {
        this.#putU16(body, 0);
        body += lengthFields;
        const value = this.#beginMp(body, attributeCode.mpUnreach);
        first = this.#writeNlri(listed, first, value, message + this.#maxLength);
        this.#putU16(body + 2, this.#at - body - mpHeader);
        this.#putU16(body - 2, this.#at - body);
      }
      this.#end(message);
    }
  }

  /**
   * Announces the prefixes with one set of attributes. Where the attributes leave no room for a
   * prefix, or cannot carry the family, the prefixes are withdrawn instead: the peer must not keep an
   * older path (as RFC 8654 section 4 asks of a message that would be too long).
   */
  announce(attributesId: number, listed: Listed, from: number, to: number): void {
    const route = this.#octetsOf(attributesId);
    const isClassic = this.#family === 4 && route.code === attributeCode.nextHop;
    const isMp = route.code === attributeCode.mpReach;
    const fixed = headerLength + lengthFields + route.end - route.start + mpHeader;
    if ((!isClassic && !isMp) || fixed + 21 > this.#maxLength) {
      this.withdraw(listed, from, to);
      return;
    }
    let first = from;
    this.#listEnd = to;
    while (first < to) {
      const message = this.#begin(this.#maxLength);
      first = isClassic
        ? this.#classic(message, route, listed, first)
        : this.#multiprotocol(message, route, listed, first);
      this.#end(message);
    }
  }

  #classic(message: number, route: RouteOctets, listed: Listed, first: number): number {
    const body = message + headerLength;
    this.#putU16(body, 0);
    this.#putU16(body + 2, route.end - route.start);
    this.#at = body + lengthFields;
    this.#copy(route.buffer, route.start, route.end);
    return this.#writeNlri(listed, first, this.#at, message + this.#maxLength);
  }

  #multiprotocol(message: number, route: RouteOctets, listed: Listed, first: number): number {
    const { buffer } = route;
    const body = message + headerLength + lengthFields;
    const rest = route.end - route.valueEnd + (route.at - route.start);
    this.#putU16(body - lengthFields, 0);
    this.#at = this.#beginMp(body, attributeCode.mpReach);
    this.#copy(buffer, route.value + 3, route.valueEnd);
    const end = message + this.#maxLength - rest;
    const next = this.#writeNlri(listed, first, this.#at, end);
    this.#putU16(body + 2, this.#at - body - mpHeader);
    this.#copy(buffer, route.start, route.at);
    this.#copy(buffer, route.valueEnd, route.end);
    this.#putU16(body - 2, this.#at - body);
    return next;
  }

  /** Header of MP_REACH_NLRI or MP_UNREACH_NLRI with an empty length, AFI and SAFI. */
  #beginMp(at: number, code: number): number {
    this.#bytes[at] = optionalLong;
    this.#bytes[at + 1] = code;
    this.#putU16(at + 4, afiOf(this.#family));
    this.#bytes[at + 6] = safiUnicast;
    return at + mpHeader + 3;
  }

  /** Writes prefixes from `first` on, as many as fit. Gives the first that does not. */
  #writeNlri({ prefixes, ids, pathIds }: Listed, first: number, from: number, end: number): number {
    const bytes = this.#bytes;
    const { words, lengths } = prefixes;
    const stride = prefixes.family === 4 ? 1 : 4;
    let at = from;
    let index = first;
    for (; index < this.#listEnd; index++) {
      const id = ids[index] as number;
      const bits = lengths[id] as number;
      const octets = (bits + 7) >>> 3;
      if (at + 1 + octets + (pathIds === undefined ? 0 : 4) > end) break;
      if (pathIds !== undefined) {
        this.#putU32(at, pathIds[index] as number);
        at += 4;
      }
      bytes[at] = bits;
      for (let octet = 0; octet < octets; octet++) {
        const word = words[id * stride + (octet >>> 2)] as number;
        bytes[at + 1 + octet] = word >>> (24 - (octet & 3) * 8);
      }
      at += 1 + octets;
    }
    this.#at = at;
    return index;
  }

  #octetsOf(attributesId: number): RouteOctets {
    const buffer = this.#attributes.bufferOf(attributesId);
    const start = this.#attributes.startOf(attributesId);
    const end = start + this.#attributes.lengthOf(attributesId);
    if (this.#options.fourOctetAs) return nextHopIn(buffer, start, end);
    const route = encodeRouteFor(buffer.subarray(start, end), this.#options);
    return nextHopIn(route, 0, route.length);
  }

  /** Room for one message. Gives where it starts. */
  #begin(length: number): number {
    if (this.#at + length > this.#bytes.length) {
      const written = this.length;
      const slab = new Uint8Array(Math.max(slabBytes, written * 2 + length));
      slab.set(this.#bytes.subarray(this.#start, this.#at));
      this.#bytes = slab;
      this.#start = 0;
      this.#at = written;
    }
    return this.#at;
  }

  #end(message: number): void {
    for (let i = message; i < message + 16; i++) this.#bytes[i] = 0xff;
    this.#putU16(message + 16, this.#at - message);
    this.#bytes[message + 18] = messageType.update;
  }

  #copy(from: Uint8Array, start: number, end: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    for (let i = start; i < end; i++) bytes[at++] = from[i] as number;
    this.#at = at;
  }

  #putU16(at: number, value: number): void {
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value;
  }

  #putU32(at: number, value: number): void {
    this.#putU16(at, value >>> 16);
    this.#putU16(at + 2, value);
  }
}

function nextHopIn(buffer: Uint8Array, start: number, end: number): RouteOctets {
  let at = start;
  while (at < end) {
    const code = buffer[at + 1] as number;
    const isLong = ((buffer[at] as number) & 0x10) !== 0;
    const value = at + (isLong ? 4 : 3);
    const valueEnd = value + (isLong ? u16(buffer, at + 2) : (buffer[at + 2] as number));
    if (code === attributeCode.nextHop || code === attributeCode.mpReach) {
      return { buffer, start, end, code, at, value, valueEnd };
    }
    at = valueEnd;
  }
  return { buffer, start, end, code: 0, at: end, value: end, valueEnd: end };
}
