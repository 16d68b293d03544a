/**
 * Netlink messages (RFC 3549 section 2.2, linux/netlink.h). Integers are in host byte order, which on
 * the machines that Node runs on is little-endian.
 *
 * ```
 * message:   length(4) type(2) flags(2) sequence(4) port(4) | family header | attributes, each at 4
 * attribute: length(2) type(2) value, padded to 4
 * ```
 */
export const headerBytes = 16;
const attributeHeaderBytes = 4;
const nestedFlag = 0x8000;
const typeMask = 0x3fff;

/** Builds one or many messages in one buffer. */
export class MessageWriter {
  #buffer = Buffer.alloc(4096);
  #length = 0;
  #start = 0;

  get length(): number {
    return this.#length;
  }

  begin(type: number, flags: number, sequence: number): this {
    this.#start = this.#reserve(headerBytes);
    this.#buffer.writeUInt16LE(type, this.#start + 4);
    this.#buffer.writeUInt16LE(flags, this.#start + 6);
    this.#buffer.writeUInt32LE(sequence, this.#start + 8);
    return this;
  }

  end(): this {
    this.#buffer.writeUInt32LE(this.#length - this.#start, this.#start);
    return this;
  }

  /** The family header that follows the message's: fixed fields, host order. */
  header(bytes: Uint8Array): this {
    // First the room: reserving may move the buffer.
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    const at = this.#attributeHeader(type, value.length);
    this.#buffer.set(value, at);
    return this;
  }

  u8(type: number, value: number): this {
    const at = this.#attributeHeader(type, 1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  u16(type: number, value: number): this {
    const at = this.#attributeHeader(type, 2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u16be(type: number, value: number): this {
    const at = this.#attributeHeader(type, 2);
    this.#buffer.writeUInt16BE(value, at);
    return this;
  }

  u32(type: number, value: number): this {
    const at = this.#attributeHeader(type, 4);
    this.#buffer.writeUInt32LE(value >>> 0, at);
    return this;
  }

  u32be(type: number, value: number): this {
    const at = this.#attributeHeader(type, 4);
    this.#buffer.writeUInt32BE(value >>> 0, at);
    return this;
  }

  text(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`));
  }

  /** Attributes written by `fill` become the value of one. */
  nest(type: number, fill: () => void): this {
    const at = this.#reserve(attributeHeaderBytes);
    this.#buffer.writeUInt16LE(type | nestedFlag, at + 2);
    fill();
    this.#buffer.writeUInt16LE(this.#length - at, at);
    return this;
  }

  /** The bytes so far: a view, good until the next write. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** There may be keys in it: after this there are none. */
  wipe(): void {
    this.#buffer.fill(0);
  }

  /** Room for an attribute, its header written. Gives where the value goes; its padding is zero. */
  #attributeHeader(type: number, valueLength: number): number {
    const length = attributeHeaderBytes + valueLength;
    const at = this.#reserve(align(length));
    this.#buffer.writeUInt16LE(length, at);
    this.#buffer.writeUInt16LE(type, at + 2);
    return at + attributeHeaderBytes;
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.wipe();
      this.#buffer = grown;
    }
    return at;
  }
}

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** What follows the message's header. A view of the receive buffer: copy what outlives it. */
  readonly body: Buffer;
}

/** The messages of one datagram. A length that does not fit ends it: the rest is not ours to guess. */
export function* messagesOf(datagram: Buffer): Generator<NetlinkMessage> {
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < headerBytes || at + length > datagram.length) return;
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + headerBytes, at + length),
    };
    at += align(length);
  }
}

export type Attributes = ReadonlyMap<number, Buffer>;

/** Attributes from `offset` on, by type without its flags. Values are views. */
export function attributesOf(bytes: Buffer, offset = 0): Attributes {
  const attributes = new Map<number, Buffer>();
  for (let at = offset; at + attributeHeaderBytes <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < attributeHeaderBytes || at + length > bytes.length) break;
    const type = bytes.readUInt16LE(at + 2) & typeMask;
    attributes.set(type, bytes.subarray(at + attributeHeaderBytes, at + length));
    at += align(length);
  }
  return attributes;
}

/** Values of the attributes of a list, whose types tell nothing: they are all the same. Views. */
export function valuesOf(list: Buffer): Buffer[] {
  const values: Buffer[] = [];
  for (let at = 0; at + attributeHeaderBytes <= list.length; ) {
    const length = list.readUInt16LE(at);
    if (length < attributeHeaderBytes || at + length > list.length) break;
    values.push(list.subarray(at + attributeHeaderBytes, at + length));
    at += align(length);
  }
  return values;
}

export function textOf(value: Buffer | undefined): string | undefined {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return value.toString("utf8", 0, end < 0 ? value.length : end);
}

export function u32Of(value: Buffer | undefined): number | undefined {
  return value !== undefined && value.length >= 4 ? value.readUInt32LE(0) : undefined;
}

export function u16Of(value: Buffer | undefined): number | undefined {
  return value !== undefined && value.length >= 2 ? value.readUInt16LE(0) : undefined;
}

/** Exact up to 2^53. */
export function u64Of(value: Buffer | undefined): number | undefined {
  return value === undefined || value.length < 8 ? undefined : Number(value.readBigUInt64LE());
}

export function u16beOf(value: Buffer | undefined): number | undefined {
  return value !== undefined && value.length >= 2 ? value.readUInt16BE(0) : undefined;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
