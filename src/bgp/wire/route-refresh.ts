import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { type Decoded, failure } from "./decode-error.ts";
import { afiOf, safiUnicast } from "./family.ts";
import { frameMessage, headerLength, messageType } from "./header.ts";
import type { RouteRefreshMessage } from "./message.ts";
import { errorCode } from "./notification.ts";

/** Message subtypes (RFC 7313 section 3.2): a request, and the marks around the answer. */
export const refreshSubtype: { readonly request: 0; readonly begin: 1; readonly end: 2 } = {
  request: 0,
  begin: 1,
  end: 2,
};

/** Subcode of ROUTE-REFRESH Message Error (RFC 7313 section 5). */
const invalidLength = 1;
const badMessageLength = 2;
const bodyLength = 4;

/**
 * Body: AFI (2), subtype (1), SAFI (1) (RFC 2918 section 3, RFC 7313 section 3.2). BoRR and EoRR of
 * another length are the error of RFC 7313 section 5; a request with something behind it (RFC 5291)
 * was never negotiated. A subtype that is not known is given as it is, to be ignored.
 */
export function decodeRouteRefresh(body: Uint8Array): Decoded<RouteRefreshMessage> {
  const { length } = body;
  if (length < bodyLength) return badLength(length);
  const reader = new ByteReader(body);
  const [afi, subtype, safi] = [reader.u16(), reader.u8(), reader.u8()];
  if (length > bodyLength && subtype === refreshSubtype.request) return badLength(length);
  if (length > bodyLength && subtype <= refreshSubtype.end) {
    const reason = `ROUTE-REFRESH of subtype ${subtype} has a body of ${length} octets`;
    const data = frameMessage(messageType.routeRefresh, body);
    return failure(errorCode.routeRefresh, invalidLength, { reason, data });
  }
  return { ok: true, message: { kind: "routeRefresh", afi, safi, subtype } };
}

function badLength(length: number): Decoded<RouteRefreshMessage> {
  const reason = `ROUTE-REFRESH has a body of ${length} octets`;
  const data = new ByteWriter(2).u16(headerLength + length).finish();
  return failure(errorCode.header, badMessageLength, { reason, data });
}

/** Asks the peer to send all its routes of `family` again, or marks such an answer. */
export function encodeRouteRefresh(
  family: IpFamily,
  subtype: number = refreshSubtype.request,
): Uint8Array {
  const body = new ByteWriter(bodyLength).u16(afiOf(family)).u8(subtype).u8(safiUnicast);
  return frameMessage(messageType.routeRefresh, body.finish());
}

/** A message of its own type and nothing else (RFC 4271 section 4.4). */
export function encodeKeepalive(): Uint8Array {
  return frameMessage(messageType.keepalive, new Uint8Array(0));
}
