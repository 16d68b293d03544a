import type { DecodeContext } from "./attribute-rows.ts";
import { type Decoded, failure } from "./decode-error.ts";
import type { Frame } from "./frame.ts";
import { messageType } from "./header.ts";
import type { Message } from "./message.ts";
import { decodeNotification, errorCode } from "./notification.ts";
import { decodeOpen } from "./open.ts";
import { decodeRouteRefresh } from "./route-refresh.ts";
import { decodeUpdate } from "./update.ts";

/**
 * The message of a frame of FrameSplitter, which has checked type and least length. Whatever the
 * bytes, it never throws: an error is the NOTIFICATION to send. Nothing in the message refers to the
 * frame's memory but UpdateMessage.rawAttributes.
 */
export function decodeMessage(
  { type, body }: Pick<Frame, "type" | "body">,
  context: DecodeContext,
): Decoded<Message> {
  switch (type) {
    case messageType.open:
      return decodeOpen(body);
    case messageType.update:
      return decodeUpdate(body, context);
    case messageType.notification:
      return { ok: true, message: decodeNotification(body) };
    case messageType.keepalive:
      return { ok: true, message: { kind: "keepalive" } };
    case messageType.routeRefresh:
      return decodeRouteRefresh(body);
    default: {
      const reason = `The message type is ${type}`;
      return failure(errorCode.header, 3, { reason, data: Uint8Array.of(type) });
    }
  }
}
