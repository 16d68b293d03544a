import { attributeFlag } from "./attribute-flag.ts";

/**
 * Steps through a path attribute field (RFC 4271 section 4.3): flags (1), code (1), length (1, or 2
 * when extended), value. Then reads the value of the present attribute by offsets in it.
 *
 * One object serves a whole field: to make one an attribute would cost more than to read it. Reading
 * past the value is a mistake of the caller, who knows `length`.
 */
export class AttributeCursor {
  readonly #field: Uint8Array;
  #value = 0;
  #seenLow = 0;
  #seenHigh: Set<number> | undefined;
  flags = 0;
  code = 0;
  /** Octets of the value. */
  length = 0;
  /** Where the attribute starts and ends in the field. */
  start = 0;
  end = 0;
  /** An attribute with this code was there before. */
  isRepeated = false;
  /** Why the field ends in octets that are no attribute. */
  problem: string | undefined;

  constructor(field: Uint8Array) {
    this.#field = field;
  }

  /** Moves to the next attribute. False at the end, and at a problem. */
  next(): boolean {
    const field = this.#field;
    const start = this.end;
    if (start >= field.length) return false;
    const flags = field[start] as number;
    const isExtended = (flags & attributeFlag.extendedLength) !== 0;
    const value = start + (isExtended ? 4 : 3);
    if (value > field.length) {
      this.problem = `${field.length - start} octets are left where an attribute begins`;
      return false;
    }
    const code = field[start + 1] as number;
    const high = isExtended ? (field[value - 2] as number) : 0;
    const length = (high << 8) | (field[value - 1] as number);
    if (value + length > field.length) {
      this.problem = `Attribute ${code} of ${length} octets runs past the attributes`;
      return false;
    }
    this.flags = flags;
    this.code = code;
    this.length = length;
    this.start = start;
    this.#value = value;
    this.end = value + length;
    this.isRepeated = this.#isSeen(code);
    return true;
  }

  u8(offset: number): number {
    return this.#field[this.#value + offset] as number;
  }

  u16(offset: number): number {
    return (this.u8(offset) << 8) | this.u8(offset + 1);
  }

  u32(offset: number): number {
    return ((this.u16(offset) << 16) | this.u16(offset + 2)) >>> 0;
  }

  /** A view of `length` octets of the value, not a copy. */
  bytes(offset: number, length: number): Uint8Array {
    return this.#field.subarray(this.#value + offset, this.#value + offset + length);
  }

  #isSeen(code: number): boolean {
    if (code < 32) {
      const bit = 1 << code;
      const isSeen = (this.#seenLow & bit) !== 0;
      this.#seenLow |= bit;
      return isSeen;
    }
    this.#seenHigh ??= new Set();
    const isSeen = this.#seenHigh.has(code);
    this.#seenHigh.add(code);
    return isSeen;
  }
}
