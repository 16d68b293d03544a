import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { frameMessage, headerLength, maxMessageLength, messageType } from "./header.ts";
import type { NotificationMessage } from "./message.ts";

/** Code, subcode and data of a NOTIFICATION (RFC 4271 section 4.5). */
export interface NotificationBody {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

/** RFC 4271 section 4.5. */
export const errorCode: {
  readonly header: 1;
  readonly open: 2;
  readonly update: 3;
  readonly holdTimerExpired: 4;
  readonly fsm: 5;
  readonly cease: 6;
} = { header: 1, open: 2, update: 3, holdTimerExpired: 4, fsm: 5, cease: 6 };

/** Subcodes of Cease (RFC 4486 section 3). */
export const cease: {
  readonly administrativeShutdown: 2;
  readonly peerDeconfigured: 3;
  readonly connectionRejected: 5;
  readonly configurationChange: 6;
  readonly collision: 7;
  readonly outOfResources: 8;
} = {
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  connectionRejected: 5,
  configurationChange: 6,
  collision: 7,
  outOfResources: 8,
};

/** Body: code (1), subcode (1), data (rest). The caller has checked that two octets are there. */
export function decodeNotification(body: Uint8Array): NotificationMessage {
  const reader = new ByteReader(body);
  const [code, subcode] = [reader.u8(), reader.u8()];
  return { kind: "notification", code, subcode, data: reader.bytes(reader.remaining).slice() };
}

/** Data that does not fit a message is cut. */
export function encodeNotification({ code, subcode, data }: NotificationBody): Uint8Array {
  const room = maxMessageLength - headerLength - 2;
  const body = new ByteWriter(64).u8(code).u8(subcode).bytes(data.subarray(0, room)).finish();
  return frameMessage(messageType.notification, body);
}

const codeNames: Readonly<Record<number, string>> = {
  1: "Message Header Error",
  2: "OPEN Message Error",
  3: "UPDATE Message Error",
  4: "Hold Timer Expired",
  5: "Finite State Machine Error",
  6: "Cease",
  7: "ROUTE-REFRESH Message Error",
  8: "Send Hold Timer Expired",
};

const subcodeNames: Readonly<Record<string, string>> = {
  "1/1": "Connection Not Synchronized",
  "1/2": "Bad Message Length",
  "1/3": "Bad Message Type",
  "2/1": "Unsupported Version Number",
  "2/2": "Bad Peer AS",
  "2/3": "Bad BGP Identifier",
  "2/4": "Unsupported Optional Parameter",
  "2/6": "Unacceptable Hold Time",
  "2/7": "Unsupported Capability",
  "3/1": "Malformed Attribute List",
  "3/2": "Unrecognized Well-known Attribute",
  "3/9": "Optional Attribute Error",
  "3/10": "Invalid Network Field",
  "5/1": "Unexpected Message in OpenSent",
  "5/2": "Unexpected Message in OpenConfirm",
  "5/3": "Unexpected Message in Established",
  "6/1": "Maximum Number of Prefixes Reached",
  "6/2": "Administrative Shutdown",
  "6/3": "Peer De-configured",
  "6/4": "Administrative Reset",
  "6/5": "Connection Rejected",
  "6/6": "Other Configuration Change",
  "6/7": "Connection Collision Resolution",
  "6/8": "Out of Resources",
  "6/9": "Hard Reset",
};

/** Text of a NOTIFICATION: "Cease/Connection Rejected". Unknown codes stay numbers. */
export function describeNotification({ code, subcode }: NotificationBody): string {
  const name = codeNames[code] ?? `Error ${code}`;
  if (subcode === 0) return name;
  return `${name}/${subcodeNames[`${code}/${subcode}`] ?? subcode}`;
}
