/** Thrown by ByteReader when a field would run past its enclosing field. */
export class ShortRead extends RangeError {
  override readonly name = "ShortRead";
}

/**
 * A cursor over received bytes. All integers are big-endian (network order).
 *
 * A field that carries a length is read by `take(length)`, which gives a reader
 * that cannot see past that field: nested lengths can then never disagree.
 */
export class ByteReader {
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#view.byteLength - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4));
  }

  /** A view of the next `length` octets, not a copy. */
  bytes(length: number): Uint8Array {
    const start = this.#advance(length);
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset + start, length);
  }

  take(length: number): ByteReader {
    return new ByteReader(this.bytes(length));
  }

  #advance(length: number): number {
    if (length > this.remaining) {
      throw new ShortRead(`Cannot read ${length} octets: ${this.remaining} remain`);
    }
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}
