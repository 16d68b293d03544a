import type { Message } from "../../src/bgp/wire/message.ts";

/** A decoded message as a literal that can be compared: attributes are decoded, octets left out. */
export function plainMessage(message: Message): Message {
  if (message.kind !== "update") return message;
  const { kind, withdrawn, announced, endOfRib, attributes, treatedAsWithdraw } = message;
  return {
    kind,
    withdrawn,
    announced,
    endOfRib,
    ...(attributes !== undefined && { attributes }),
    ...(treatedAsWithdraw !== undefined && { treatedAsWithdraw }),
  };
}
