import { ByteWriter } from "../../lib/byte-writer.ts";
import { frameMessage, headerLength, maxMessageLength, messageType } from "./header.ts";
import type { NotificationMessage } from "./message.ts";

export { describeNotification, explainNotification } from "./notification-text.ts";

/** Code, subcode and data of a NOTIFICATION (RFC 4271 section 4.5). */
export type NotificationBody = Omit<NotificationMessage, "kind">;

/** RFC 4271 section 4.5, RFC 7313 section 5, RFC 9687 section 6. */
export const errorCode: {
  readonly header: 1;
  readonly open: 2;
  readonly update: 3;
  readonly holdTimerExpired: 4;
  readonly fsm: 5;
  readonly cease: 6;
  readonly routeRefresh: 7;
  readonly sendHoldTimerExpired: 8;
} = {
  header: 1,
  open: 2,
  update: 3,
  holdTimerExpired: 4,
  fsm: 5,
  cease: 6,
  routeRefresh: 7,
  sendHoldTimerExpired: 8,
};

/** Subcodes of Cease (RFC 4486 section 3, RFC 8538 section 3, RFC 9384 section 3). */
export const cease: {
  readonly maxPrefixes: 1;
  readonly administrativeShutdown: 2;
  readonly peerDeconfigured: 3;
  readonly administrativeReset: 4;
  readonly connectionRejected: 5;
  readonly configurationChange: 6;
  readonly collision: 7;
  readonly outOfResources: 8;
  readonly hardReset: 9;
  readonly bfdDown: 10;
} = {
  maxPrefixes: 1,
  administrativeShutdown: 2,
  peerDeconfigured: 3,
  administrativeReset: 4,
  connectionRejected: 5,
  configurationChange: 6,
  collision: 7,
  outOfResources: 8,
  hardReset: 9,
  bfdDown: 10,
};

/** Body: code (1), subcode (1), data (rest). */
export function decodeNotification(body: Uint8Array): NotificationMessage {
  const [code = 0, subcode = 0] = body;
  return { kind: "notification", code, subcode, data: body.slice(2) };
}

/** Data that does not fit a message is cut. */
export function encodeNotification({ code, subcode, data }: NotificationBody): Uint8Array {
  const room = maxMessageLength - headerLength - 2;
  const body = new ByteWriter(64).u8(code).u8(subcode).bytes(data.subarray(0, room)).finish();
  return frameMessage(messageType.notification, body);
}

/**
 * Cease/Hard Reset around the real reason: also a session with graceful restart for NOTIFICATIONs ends
 * for good. Data: code (1), subcode (1), data (rest) (RFC 8538 section 3.1).
 */
export function hardReset({ code, subcode, data }: NotificationBody): NotificationBody {
  const inner = new ByteWriter(64).u8(code).u8(subcode).bytes(data).finish();
  return { code: errorCode.cease, subcode: cease.hardReset, data: inner };
}
