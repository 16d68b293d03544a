import { type DecodeFailure, failure } from "./decode-error.ts";
import { headerLength, maxExtendedLength, maxMessageLength, messageType } from "./header.ts";
import { errorCode } from "./notification.ts";

/** One message without its header, in a buffer that is its own only until `onFrame` returns. */
export class Frame {
  readonly type: number;
  readonly buffer: Uint8Array;
  /** Of the body. */
  readonly start: number;
  readonly end: number;

  constructor(type: number, buffer: Uint8Array, start: number, end: number) {
    this.type = type;
    this.buffer = buffer;
    this.start = start;
    this.end = end;
  }

  /** A view: it costs as much as to read a short UPDATE. */
  get body(): Uint8Array {
    return this.buffer.subarray(this.start, this.end);
  }

  /** Octets with the header. */
  get length(): number {
    return headerLength + this.end - this.start;
  }
}

/** The whole message of a frame, as long as its body: the header stands before it in memory. */
export function wholeMessage({ buffer, start, end }: Frame): Uint8Array {
  return buffer.subarray(start - headerLength, end);
}

/** Shortest message of each type (RFC 4271 section 6.1, RFC 2918 section 3). */
const minLength: Readonly<Record<number, number>> = {
  [messageType.open]: 29,
  [messageType.update]: 23,
  [messageType.notification]: 21,
  [messageType.keepalive]: 19,
  [messageType.routeRefresh]: 23,
};

/** Longest message of the types that are never extended (RFC 8654 section 4). */
const maxLength: Readonly<Record<number, number>> = {
  [messageType.open]: maxMessageLength,
  [messageType.keepalive]: headerLength,
};

const headerSubcode = { notSynchronized: 1, badLength: 2, badType: 3 } as const;

/**
 * Cuts a TCP stream into messages. Holds at most one unfinished message. After a failure the stream is
 * lost: give it no more bytes.
 */
export class FrameSplitter {
  #partial = new Uint8Array(maxMessageLength);
  #length = 0;
  #maxLength = maxMessageLength;

  /** From the next message on, messages may be extended (RFC 8654 section 4). */
  allowExtended(): void {
    this.#maxLength = maxExtendedLength;
  }

  /** Gives the messages that `received` completes to `onFrame`, in order, until one is not well formed. */
  push(received: Uint8Array, onFrame: (frame: Frame) => void): DecodeFailure | undefined {
    // Views of a Buffer cost several times those of a plain array.
    const chunk = new Uint8Array(received.buffer, received.byteOffset, received.length);
    let at = 0;
    while (at < chunk.length) {
      if (this.#length === 0 && chunk.length - at >= headerLength) {
        const length = checkedLength(chunk, at, this.#maxLength);
        if (typeof length !== "number") return length;
        if (chunk.length - at >= length) {
          onFrame(new Frame(chunk[at + 18] ?? 0, chunk, at + headerLength, at + length));
          at += length;
          continue;
        }
      }
      const taken = this.#collect(chunk, at);
      if (typeof taken !== "number") return taken;
      at += taken;
      this.#emitWhole(onFrame);
    }
    return undefined;
  }

  /** Adds to the unfinished message: up to the end of its header, then up to its end. */
  #collect(chunk: Uint8Array, at: number): number | DecodeFailure {
    const want = this.#wanted();
    if (typeof want !== "number") return want;
    const taken = Math.min(want - this.#length, chunk.length - at);
    this.#partial.set(chunk.subarray(at, at + taken), this.#length);
    this.#length += taken;
    if (this.#length !== headerLength) return taken;
    const whole = this.#wanted();
    if (typeof whole !== "number") return whole;
    if (whole > this.#partial.length) this.#grow();
    return taken;
  }

  #grow(): void {
    const partial = new Uint8Array(maxExtendedLength);
    partial.set(this.#partial);
    this.#partial = partial;
  }

  #wanted(): number | DecodeFailure {
    return this.#length < headerLength
      ? headerLength
      : checkedLength(this.#partial, 0, this.#maxLength);
  }

  #emitWhole(onFrame: (frame: Frame) => void): void {
    const want = this.#wanted();
    if (this.#length < headerLength || this.#length !== want) return;
    const length = this.#length;
    this.#length = 0;
    onFrame(new Frame(this.#partial[18] ?? 0, this.#partial, headerLength, length));
  }
}

/** Length field of the header at `at`, once marker, length and type are right. */
function checkedLength(bytes: Uint8Array, at: number, longest: number): number | DecodeFailure {
  for (let i = 0; i < 16; i++) {
    if (bytes[at + i] === 0xff) continue;
    const reason = "The marker is not all ones";
    return failure(errorCode.header, headerSubcode.notSynchronized, { reason });
  }
  const length = ((bytes[at + 16] ?? 0) << 8) | (bytes[at + 17] ?? 0);
  const type = bytes[at + 18] ?? 0;
  const least = minLength[type] ?? headerLength;
  if (length < least || length > (maxLength[type] ?? longest)) {
    const data = bytes.slice(at + 16, at + 18);
    const reason = `A message of type ${type} is ${length} octets long`;
    return failure(errorCode.header, headerSubcode.badLength, { reason, data });
  }
  if (minLength[type] === undefined) {
    const data = Uint8Array.of(type);
    const reason = `The message type is ${type}`;
    return failure(errorCode.header, headerSubcode.badType, { reason, data });
  }
  return length;
}
