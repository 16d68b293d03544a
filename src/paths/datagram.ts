import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * The datagrams of path checks (docs/check-paths.md):
 *
 *      0                   4    5    6                 8
 *     | magic "TPCK"      | ver| kind| answer's length | run (8) ...
 *     16                  20                  24
 *     | number            | length of name, 0 | HMAC (16) ...
 *     40                  40 + length of name
 *     | name of the sender | body, filled up with zeros ...
 *
 * The HMAC-SHA-256, cut to 16 octets, is over the whole datagram with zeros in its own place.
 */

const kinds = ["probe", "answer", "ask", "state", "stream"] as const;

/**
 * probe: wants an answer of `answerLength` octets. answer: to a probe of the same number. ask: which
 * probes of the run arrived, and how the node is. state: the answer to that, JSON. stream: begins a
 * transfer, its body is the challenge.
 */
export type DatagramKind = (typeof kinds)[number];

export interface Datagram {
  readonly kind: DatagramKind;
  /** 16 hexadecimal digits, drawn by the prober. */
  readonly run: string;
  readonly number: number;
  readonly sender: string;
  /** Octets of the answer that is wanted; 0 in all but probes and asks. */
  readonly answerLength: number;
  readonly body: Uint8Array;
}

const magic = Buffer.from("TPCK");
const version = 1;
const macOffset = 24;
const macLength = 16;
const nameOffset = macOffset + macLength;

/** Kubernetes' limit of a node's name. */
const maxNameLength = 253;
/** A probe as small as this leaves room for an answer with any name. */
export const smallLength = 320;
export const askLength = 512;
const maxLength = 0xffff;

/**
 * A datagram of `length` octets.
 *
 * @throws {RangeError} when it does not fit.
 */
export function encodeDatagram(
  { kind, run, number, sender, answerLength, body }: Datagram,
  length: number,
  key: Uint8Array,
): Buffer {
  const name = Buffer.from(sender);
  const least = nameOffset + name.length + body.length;
  if (length < least || length > maxLength || name.length > maxNameLength) {
    throw new RangeError(`Cannot put a ${kind} of ${least} octets into ${length}`);
  }
  const bytes = Buffer.alloc(length);
  bytes.set(magic, 0);
  bytes.writeUInt8(version, 4);
  bytes.writeUInt8(kinds.indexOf(kind), 5);
  bytes.writeUInt16BE(answerLength, 6);
  bytes.write(run, 8, "hex");
  bytes.writeUInt32BE(number, 16);
  bytes.writeUInt16BE(name.length, 20);
  bytes.set(name, nameOffset);
  bytes.set(body, nameOffset + name.length);
  bytes.set(macOf(bytes, key), macOffset);
  return bytes;
}

/** What a datagram says of itself: nothing of it is proved before `isAuthentic`. Undefined: none of ours. */
export function decodeDatagram(bytes: Uint8Array): Datagram | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < nameOffset || !view.subarray(0, 4).equals(magic)) return undefined;
  if (view.readUInt8(4) !== version) return undefined;
  const kind = kinds[view.readUInt8(5)];
  const end = nameOffset + view.readUInt16BE(20);
  if (kind === undefined || end > view.length || end > nameOffset + maxNameLength) return undefined;
  return {
    kind,
    answerLength: view.readUInt16BE(6),
    run: view.toString("hex", 8, 16),
    number: view.readUInt32BE(16),
    sender: view.toString("utf8", nameOffset, end),
    body: view.subarray(end),
  };
}

export function isAuthentic(bytes: Uint8Array, key: Uint8Array): boolean {
  const given = bytes.subarray(macOffset, macOffset + macLength);
  return given.length === macLength && timingSafeEqual(given, macOf(bytes, key));
}

function macOf(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  const hmac = createHmac("sha256", key);
  hmac.update(bytes.subarray(0, macOffset));
  hmac.update(new Uint8Array(macLength));
  hmac.update(bytes.subarray(nameOffset));
  return hmac.digest().subarray(0, macLength);
}
