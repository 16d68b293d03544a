import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { afiOf, safiUnicast } from "./family.ts";
import { frameMessage, messageType } from "./header.ts";
import type { RouteRefreshMessage } from "./message.ts";

/** Body: AFI (2), subtype (1), SAFI (1) (RFC 2918 section 3, RFC 7313 section 3.2). */
export function decodeRouteRefresh(body: Uint8Array): RouteRefreshMessage {
  const reader = new ByteReader(body);
  const [afi, subtype, safi] = [reader.u16(), reader.u8(), reader.u8()];
  return { kind: "routeRefresh", afi, safi, subtype };
}

/** Asks the peer to send all its routes of `family` again. */
export function encodeRouteRefresh(family: IpFamily, subtype = 0): Uint8Array {
  const body = new ByteWriter(4).u16(afiOf(family)).u8(subtype).u8(safiUnicast);
  return frameMessage(messageType.routeRefresh, body.finish());
}

/** A message of its own type and nothing else (RFC 4271 section 4.4). */
export function encodeKeepalive(): Uint8Array {
  return frameMessage(messageType.keepalive, new Uint8Array(0));
}
