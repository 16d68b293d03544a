import assert from "node:assert/strict";
import type { DecodeContext } from "../../src/bgp/wire/context.ts";
import { decodeMessage } from "../../src/bgp/wire/decode.ts";
import type { DecodeFailure } from "../../src/bgp/wire/decode-error.ts";
import { FrameSplitter } from "../../src/bgp/wire/frame.ts";
import { frameMessage, maxExtendedLength } from "../../src/bgp/wire/header.ts";
import type { Message } from "../../src/bgp/wire/message.ts";
import { encodeNotification, explainNotification } from "../../src/bgp/wire/notification.ts";
import { encodeMessage } from "../../test/support/encode-message.ts";
import { messageToJson } from "../../test/support/message-json.ts";
import { plainMessage } from "../../test/support/plain-message.ts";
import { joined } from "./mutate.ts";

/** What a message was decoded to, or why not. */
export type Outcome = { readonly message: Message } | { readonly failure: DecodeFailure };

/**
 * Decodes a message of this type and body, as it would come in. Checks that an error gives a
 * NOTIFICATION that can be sent and shown, and that encoding what was decoded is stable: it is
 * decoded again, to the same where 4-octet ASes leave nothing out, and to the same octets always.
 */
export function checkMessage(type: number, body: Uint8Array, context: DecodeContext): Outcome {
  const [outcome, ...more] = decodeStream(frameMessage(type, body), context);
  assert.ok(outcome !== undefined && more.length === 0, "one message gives one outcome");
  if ("failure" in outcome) checkFailure(outcome.failure);
  else checkStable(outcome.message, context);
  return outcome;
}

/** Every message of a stream, up to the first that is not framed well. */
export function decodeStream(bytes: Uint8Array, context: DecodeContext): Outcome[] {
  const splitter = new FrameSplitter();
  splitter.allowExtended();
  const outcomes: Outcome[] = [];
  const failure = splitter.push(bytes, (frame) => {
    const decoded = decodeMessage(frame, context);
    outcomes.push(decoded.ok ? { message: plainMessage(decoded.message) } : { failure: decoded });
  });
  return failure === undefined ? outcomes : [...outcomes, { failure }];
}

/** An outcome in words without values. */
export function outcomeText(outcome: Outcome): string {
  if ("failure" in outcome) {
    const { notification, reason } = outcome.failure;
    return `${notification.code}/${notification.subcode} ${reason.replaceAll(/\d+/g, "N")}`;
  }
  const { message } = outcome;
  switch (message.kind) {
    case "update": {
      const { attributes = {}, withdrawn, announced, endOfRib, treatedAsWithdraw } = message;
      const counts = [withdrawn, announced, endOfRib].map(({ length }) => length).join();
      const why = treatedAsWithdraw?.replaceAll(/\d+/g, "N");
      return `update ${counts} ${Object.keys(attributes).join()} ${why}`;
    }
    case "open":
      return `open ${[...new Set(message.capabilities.map(({ kind }) => kind))].sort().join()}`;
    case "notification":
      return explainNotification(message).replaceAll(/\d+|".*"/g, "N");
    case "routeRefresh":
      return `routeRefresh ${Math.min(message.subtype, 3)}`;
    case "keepalive":
      return "keepalive";
  }
}

function checkFailure({ notification, reason }: DecodeFailure): void {
  assert.ok([1, 2, 3, 7].includes(notification.code), `code ${notification.code}`);
  assert.ok(reason.length > 0 && !/\p{Cc}/u.test(reason), "the reason is one line");
  assert.doesNotMatch(explainNotification(notification), /\p{Cc}/u);
  assert.ok(encodeNotification(notification).length <= 4096);
}

function checkStable(message: Message, context: DecodeContext): void {
  const first = joined(...encodeMessage(message, context, maxExtendedLength));
  const again: Message[] = [];
  for (const outcome of decodeStream(first, context)) {
    assert.ok("message" in outcome, "what we encode can be decoded");
    again.push(outcome.message);
  }
  const second = joined(
    ...again.flatMap((each) => encodeMessage(each, context, maxExtendedLength)),
  );
  assert.ok(Buffer.compare(first, second) === 0, "encoding again gives the same octets");
  if (!context.fourOctetAs && message.kind === "update") return;
  // A family that we do not speak is not asked for.
  if (message.kind === "routeRefresh" && again.length === 0) return;
  const { kind } = message;
  assert.equal(meaning(kind, again), meaning(kind, [message]), "it means the same");
}

/** Messages as text, without how routes are spread over them, order of attributes and Partial bits. */
function meaning(kind: Message["kind"], messages: readonly Message[]): string {
  if (kind !== "update") return messageToJson(messages);
  const updates = messages.filter((message) => message.kind === "update");
  const { attributes } = updates.find((update) => update.attributes !== undefined) ?? {};
  const unknown = attributes?.unknown
    ?.map(({ flags, ...rest }) => ({ flags: flags | 0x20, ...rest }))
    .sort((a, b) => a.code - b.code);
  return messageToJson({
    withdrawn: updates.flatMap(({ withdrawn }) => withdrawn),
    announced: updates.flatMap(({ announced }) => announced),
    endOfRib: updates.flatMap(({ endOfRib }) => endOfRib),
    attributes: Object.entries({ ...attributes, unknown }).sort(([a], [b]) => (a < b ? -1 : 1)),
  });
}
