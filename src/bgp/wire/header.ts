/**
 * The header that every message starts with (RFC 4271 section 4.1):
 *
 *   0                 16        18     19
 *   | marker, all ones | length | type | body ...
 */

/** Octets of the header. */
export const headerLength: number = 19;
/** Longest message, of OPEN and KEEPALIVE always. */
export const maxMessageLength: number = 4096;
/** Longest message of a session that has negotiated extended messages (RFC 8654 section 4). */
export const maxExtendedLength: number = 65535;

export const messageType: {
  readonly open: 1;
  readonly update: 2;
  readonly notification: 3;
  readonly keepalive: 4;
  readonly routeRefresh: 5;
} = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 };

/** A whole message around `body`, which must leave room for the header. */
export function frameMessage(type: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerLength + body.length);
  writeHeader(bytes, type);
  bytes.set(body, headerLength);
  return bytes;
}

/** Writes the header of a message that fills `bytes`. */
export function writeHeader(bytes: Uint8Array, type: number): void {
  bytes.fill(0xff, 0, 16);
  bytes[16] = bytes.length >>> 8;
  bytes[17] = bytes.length;
  bytes[18] = type;
}
