import type { DecodeContext } from "../../src/bgp/wire/context.ts";
import {
  encodeEndOfRib,
  encodeUpdates,
  encodeWithdrawals,
} from "../../src/bgp/wire/encode-updates.ts";
import { familyOf } from "../../src/bgp/wire/family.ts";
import type { Message, UpdateMessage } from "../../src/bgp/wire/message.ts";
import { encodeNotification } from "../../src/bgp/wire/notification.ts";
import { encodeOpen } from "../../src/bgp/wire/open.ts";
import { encodeKeepalive, encodeRouteRefresh } from "../../src/bgp/wire/route-refresh.ts";

/** Whole messages as we write them to a session that is decoded with `context`. */
export function encodeMessage(
  message: Message,
  context: DecodeContext,
  maxMessageLength = 4096,
): Uint8Array[] {
  switch (message.kind) {
    case "open":
      return [encodeOpen(message)];
    case "keepalive":
      return [encodeKeepalive()];
    case "notification":
      return [encodeNotification(message)];
    case "routeRefresh": {
      const family = familyOf(message.afi, message.safi);
      return family === undefined ? [] : [encodeRouteRefresh(family, message.subtype)];
    }
    case "update":
      return encodeUpdate(message, context, maxMessageLength);
  }
}

function encodeUpdate(
  { announced, withdrawn, endOfRib, attributes }: UpdateMessage,
  { fourOctetAs, extendedNextHop = false, addPath = [] }: DecodeContext,
  maxMessageLength: number,
): Uint8Array[] {
  return [
    ...endOfRib.map((family) => encodeEndOfRib(family)),
    ...withdrawn.flatMap((prefixes) =>
      encodeWithdrawals(prefixes, { addPath: addPath.includes(prefixes.family), maxMessageLength }),
    ),
    ...announced.flatMap(({ prefixes, nextHop }) => {
      if (attributes === undefined) throw new Error("Cannot encode routes without attributes");
      return encodeUpdates(
        { attributes, nextHop, prefixes },
        {
          fourOctetAs,
          extendedNextHop,
          addPath: addPath.includes(prefixes.family),
          maxMessageLength,
        },
      );
    }),
  ];
}
