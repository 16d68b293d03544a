import { headerLength, messageType } from "../wire/header.ts";
import type { MessageCounts } from "./peer.ts";

/** Messages of one direction by type, and their octets. */
export class MessageCounter {
  /** By message type; index 0 is not used. */
  readonly #messages = [0, 0, 0, 0, 0, 0];
  #bytes = 0;

  get counts(): MessageCounts {
    const of = (type: number) => this.#messages[type] ?? 0;
    return {
      open: of(messageType.open),
      update: of(messageType.update),
      notification: of(messageType.notification),
      keepalive: of(messageType.keepalive),
      routeRefresh: of(messageType.routeRefresh),
      bytes: this.#bytes,
    };
  }

  /** One message with its header. */
  add(type: number, bytes: number): void {
    this.#messages[type] = (this.#messages[type] ?? 0) + 1;
    this.#bytes += bytes;
  }

  /** All messages of a buffer. */
  addAll(bytes: Uint8Array): void {
    for (const [type, count] of typesIn(bytes)) {
      this.#messages[type] = (this.#messages[type] ?? 0) + count;
    }
    this.#bytes += bytes.length;
  }
}

type TypeCounts = readonly (readonly [type: number, count: number])[];

/** The same buffers go to many peers: each is looked through once. */
const counted = new WeakMap<Uint8Array, TypeCounts>();

function typesIn(bytes: Uint8Array): TypeCounts {
  const known = counted.get(bytes);
  if (known !== undefined) return known;
  const counts = new Map<number, number>();
  for (let at = 0; at + headerLength <= bytes.length; ) {
    const type = bytes[at + 18] ?? 0;
    counts.set(type, (counts.get(type) ?? 0) + 1);
    const length = ((bytes[at + 16] ?? 0) << 8) | (bytes[at + 17] ?? 0);
    at += Math.max(length, headerLength);
  }
  const types = [...counts];
  counted.set(bytes, types);
  return types;
}
