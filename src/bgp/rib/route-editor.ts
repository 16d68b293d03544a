import type { RouteView } from "./route-view.ts";

const initialBytes = 8192;
const extendedLength = 0x10;
const code = { asPath: 2, med: 4, localPref: 5, originatorId: 9, clusterList: 10 } as const;
const flags = { wellKnown: 0x40, optional: 0x80 } as const;
const sequence = 2;
const maxSegment = 255;

/**
 * Makes new route bytes of others: some attributes go, others come in their place, everything else
 * is copied as it is. For what BGP itself changes on the way to a peer; policies work on objects.
 *
 * New attributes are put in ascending order of their codes.
 */
export class RouteEditor {
  #inserts = new Uint8Array(initialBytes);
  #insertEnd = 0;
  /** Code of each insert, and where it ends. */
  readonly #codes: number[] = [];
  readonly #ends: number[] = [];
  #dropped = 0;
  #bytes = new Uint8Array(initialBytes);
  #at = 0;

  /** The result of the last `apply`: `length` octets, until the next. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  begin(): this {
    this.#insertEnd = 0;
    this.#codes.length = 0;
    this.#ends.length = 0;
    this.#dropped = 0;
    return this;
  }

  /** Leaves out an attribute of a code under 32. */
  drop(attribute: number): this {
    this.#dropped |= 1 << attribute;
    return this;
  }

  med(value: number): this {
    return this.#number(code.med, flags.optional, value);
  }

  localPref(value: number): this {
    return this.#number(code.localPref, flags.wellKnown, value);
  }

  originatorId(value: number): this {
    return this.#number(code.originatorId, flags.optional, value);
  }

  /** A whole attribute, header and all, instead of the one with its code. */
  attribute(bytes: Uint8Array): this {
    this.drop(bytes[1] as number);
    this.#codes.push(bytes[1] as number);
    this.#reserve(bytes.length);
    return this.#endInsert(bytes, 0, bytes.length);
  }

  prependCluster(route: RouteView, clusterId: number): this {
    const { start, end } = route.clusterList;
    this.#beginInsert(code.clusterList, flags.optional, 4 + end - start);
    putU32(this.#inserts, this.#insertEnd, clusterId);
    this.#insertEnd += 4;
    return this.#endInsert(route.buffer, start, end);
  }

  /** False when it cannot be done here: a confederation, or a first segment that is full. */
  prependAs(route: RouteView, asn: number): boolean {
    const { buffer: bytes } = route;
    const { start, end } = route.asPath;
    const isSequence = end > start && bytes[start] === sequence;
    if (route.hasConfederation || (isSequence && bytes[start + 1] === maxSegment)) return false;
    const kept = isSequence ? start + 2 : start;
    this.#beginInsert(code.asPath, flags.wellKnown, 6 + end - kept);
    this.#inserts[this.#insertEnd] = sequence;
    this.#inserts[this.#insertEnd + 1] = isSequence ? (bytes[start + 1] as number) + 1 : 1;
    putU32(this.#inserts, this.#insertEnd + 2, asn);
    this.#insertEnd += 6;
    this.#endInsert(bytes, kept, end);
    return true;
  }

  /** The edited route. Gives its length. */
  apply({ buffer: bytes, start, end: routeEnd }: RouteView): number {
    this.#at = 0;
    let next = 0;
    let at = start;
    while (at < routeEnd) {
      const attribute = bytes[at + 1] as number;
      const isLong = ((bytes[at] as number) & extendedLength) !== 0;
      const end = isLong
        ? at + 4 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
        : at + 3 + (bytes[at + 2] as number);
      while (next < this.#codes.length && (this.#codes[next] as number) <= attribute) {
        this.#putInsert(next++);
      }
      if (attribute >= 32 || (this.#dropped & (1 << attribute)) === 0) this.#put(bytes, at, end);
      at = end;
    }
    while (next < this.#codes.length) this.#putInsert(next++);
    return this.#at;
  }

  #number(attribute: number, flag: number, value: number): this {
    this.#beginInsert(attribute, flag, 4);
    putU32(this.#inserts, this.#insertEnd, value);
    this.#insertEnd += 4;
    return this.#endInsert(this.#inserts, 0, 0);
  }

  /** Header of an attribute whose value has `length` octets. */
  #beginInsert(attribute: number, flag: number, length: number): void {
    this.drop(attribute);
    this.#codes.push(attribute);
    this.#reserve(length + 4);
    const to = this.#inserts;
    const isLong = length > 255;
    to[this.#insertEnd++] = isLong ? flag | extendedLength : flag;
    to[this.#insertEnd++] = attribute;
    if (isLong) to[this.#insertEnd++] = length >>> 8;
    to[this.#insertEnd++] = length;
  }

  /** The rest of its value. */
  #endInsert(from: Uint8Array, start: number, end: number): this {
    for (let i = start; i < end; i++) this.#inserts[this.#insertEnd++] = from[i] as number;
    this.#ends.push(this.#insertEnd);
    return this;
  }

  #reserve(length: number): void {
    const needed = this.#insertEnd + length;
    if (needed > this.#inserts.length) this.#inserts = larger(this.#inserts, needed);
  }

  #putInsert(index: number): void {
    this.#put(this.#inserts, this.#ends[index - 1] ?? 0, this.#ends[index] as number);
  }

  #put(from: Uint8Array, start: number, end: number): void {
    const needed = this.#at + end - start;
    if (needed > this.#bytes.length) this.#bytes = larger(this.#bytes, needed);
    const to = this.#bytes;
    let at = this.#at;
    for (let i = start; i < end; i++) to[at++] = from[i] as number;
    this.#at = at;
  }
}

function larger(from: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const to = new Uint8Array(length * 2);
  to.set(from);
  return to;
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
