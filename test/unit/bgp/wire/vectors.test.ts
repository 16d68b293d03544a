import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { decodeMessage } from "../../../../src/bgp/wire/decode.ts";
import {
  encodeEndOfRib,
  encodeUpdates,
  encodeWithdrawals,
} from "../../../../src/bgp/wire/encode-updates.ts";
import { FrameSplitter } from "../../../../src/bgp/wire/frame.ts";
import type { Message } from "../../../../src/bgp/wire/message.ts";
import { encodeNotification } from "../../../../src/bgp/wire/notification.ts";
import { encodeOpen } from "../../../../src/bgp/wire/open.ts";
import { encodeKeepalive, encodeRouteRefresh } from "../../../../src/bgp/wire/route-refresh.ts";
import { pack } from "../../../support/packed-prefixes.ts";
import { plainMessage } from "../../../support/plain-message.ts";
import { messageVectors, updateVectors } from "../../../vectors/bgp-messages.ts";

suite("vectors", () => {
  for (const { name, bytes, message } of messageVectors) {
    test(`decode gives the message of ${name}`, () => {
      assert.deepEqual(decodeOne(bytes, { fourOctetAs: true, external: false }), message);
    });
    test(`encode gives the octets of ${name}`, () => {
      assert.deepEqual(encode(message), [bytes]);
    });
  }
  for (const { name, bytes, session, attributes, nextHop, prefixes } of updateVectors) {
    test(`decode gives the announcement of ${name}`, () => {
      assert.deepEqual(decodeOne(bytes, session), {
        kind: "update",
        withdrawn: [],
        announced: [{ prefixes: pack(...prefixes), nextHop }],
        attributes,
        endOfRib: [],
      });
    });
    test(`encodeUpdates() gives the octets of ${name}`, () => {
      const announcement = { attributes, nextHop, prefixes: pack(...prefixes) };
      assert.deepEqual(encodeUpdates(announcement, session), [bytes]);
    });
  }
});

function decodeOne(
  bytes: Uint8Array,
  session: { fourOctetAs: boolean; external: boolean },
): Message {
  const messages: Message[] = [];
  const problem = new FrameSplitter().push(bytes, (frame) => {
    const decoded = decodeMessage(frame, { ...session, families: [4, 6] });
    assert.ok(decoded.ok, decoded.ok ? "" : decoded.reason);
    messages.push(plainMessage(decoded.message));
  });
  assert.equal(problem, undefined);
  assert.equal(messages.length, 1);
  return messages[0] as Message;
}

function encode(message: Message): Uint8Array[] {
  switch (message.kind) {
    case "open":
      return [encodeOpen(message)];
    case "keepalive":
      return [encodeKeepalive()];
    case "notification":
      return [encodeNotification(message)];
    case "routeRefresh":
      return [encodeRouteRefresh(message.afi === 1 ? 4 : 6)];
    case "update":
      return message.endOfRib.length > 0
        ? message.endOfRib.map((family) => encodeEndOfRib(family))
        : message.withdrawn.flatMap((prefixes) => encodeWithdrawals(prefixes));
  }
}
