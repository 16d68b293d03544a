import assert from "node:assert/strict";
import { MessageWriter, messagesOf } from "../../src/kernel/netlink/message.ts";

/** What follows the header of one netlink message. */
export function netlinkBody(fill: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  writer.begin(0, 0, 0);
  fill(writer);
  const [message] = messagesOf(Buffer.from(writer.end().bytes()));
  assert.ok(message);
  return message.body;
}
