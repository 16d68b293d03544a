import type { Asn } from "../../lib/asn.ts";
import { ByteReader, ShortRead } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { decodeCapabilities, encodeCapabilities } from "./capabilities.ts";
import { type Decoded, failure } from "./decode-error.ts";
import { frameMessage, headerLength, maxMessageLength, messageType } from "./header.ts";
import type { Capability, OpenMessage } from "./message.ts";
import { errorCode } from "./notification.ts";

/** Stands for a 4-octet AS in a 2-octet field (RFC 6793 section 3). */
export const asTrans: Asn = 23456 as Asn;

/** Subcodes of OPEN Message Error (RFC 4271 section 6.2, RFC 5492 section 5). */
export const openSubcode: {
  readonly unspecific: 0;
  readonly version: 1;
  readonly peerAs: 2;
  readonly routerId: 3;
  readonly parameter: 4;
  readonly holdTime: 6;
  readonly capability: 7;
} = { unspecific: 0, version: 1, peerAs: 2, routerId: 3, parameter: 4, holdTime: 6, capability: 7 };

const version = 4;
const capabilitiesParameter = 2;
/** As the type of the first parameter: lengths of two octets follow (RFC 9072 section 2). */
const extendedLength = 255;
const maxShortLength = 255;

/**
 * Body of OPEN (RFC 4271 section 4.2): version (1), AS (2), hold time (2), router id (4), length
 * of optional parameters (1), optional parameters. What the values mean is checked by the FSM.
 */
export function decodeOpen(body: Uint8Array): Decoded<OpenMessage> {
  try {
    return readOpen(new ByteReader(body));
  } catch (error) {
    if (!(error instanceof ShortRead)) throw error;
    return failure(errorCode.open, openSubcode.unspecific, { reason: error.message });
  }
}

function readOpen(reader: ByteReader): Decoded<OpenMessage> {
  const peerVersion = reader.u8();
  if (peerVersion !== version) {
    const reason = `The peer speaks BGP version ${peerVersion}`;
    const data = Uint8Array.of(0, version);
    return failure(errorCode.open, openSubcode.version, { reason, data });
  }
  const [shortAs, holdSeconds, routerId] = [reader.u16(), reader.u16(), reader.u32()];
  const capabilities = readParameters(reader);
  if (typeof capabilities === "number") {
    const reason = `The optional parameter ${capabilities} is not known`;
    return failure(errorCode.open, openSubcode.parameter, { reason });
  }
  const four = capabilities.find((capability) => capability.kind === "fourOctetAs");
  const asn = four?.asn ?? (shortAs as Asn);
  return { ok: true, message: { kind: "open", asn, holdSeconds, routerId, capabilities } };
}

/** All capabilities, or the type of a parameter that is something else. @throws {ShortRead} */
function readParameters(reader: ByteReader): Capability[] | number {
  const shortLength = reader.u8();
  const rest = reader.bytes(reader.remaining);
  // The length of one octet says nothing then, but that there are parameters.
  const extended = shortLength > 0 && rest[0] === extendedLength;
  const body = new ByteReader(extended ? rest.subarray(1) : rest);
  const parameters = body.take(extended ? body.u16() : shortLength);
  if (body.remaining > 0) {
    throw new ShortRead(`${body.remaining} octets follow the optional parameters`);
  }
  const capabilities: Capability[] = [];
  while (parameters.remaining > 0) {
    const type = parameters.u8();
    const value = parameters.take(extended ? parameters.u16() : parameters.u8());
    if (type !== capabilitiesParameter) return type;
    capabilities.push(...decodeCapabilities(value));
  }
  return capabilities;
}

/**
 * The whole message. Capabilities go in one parameter, with extended lengths only when needed.
 *
 * @throws {RangeError} for more than 4096 octets: an OPEN is never extended (RFC 8654 section 4).
 */
export function encodeOpen(open: OpenMessage): Uint8Array {
  const to = new ByteWriter(128).u8(version).u16(open.asn > 0xffff ? asTrans : open.asn);
  to.u16(open.holdSeconds).u32(open.routerId);
  const value = encodeCapabilities(open.capabilities);
  if (value.length === 0) to.u8(0);
  else if (value.length + 2 <= maxShortLength) {
    to.u8(value.length + 2)
      .u8(capabilitiesParameter)
      .u8(value.length)
      .bytes(value);
  } else {
    to.u8(maxShortLength)
      .u8(extendedLength)
      .u16(value.length + 3);
    to.u8(capabilitiesParameter).u16(value.length).bytes(value);
  }
  const length = headerLength + to.length;
  if (length > maxMessageLength) {
    throw new RangeError(`Cannot encode OPEN: its capabilities make it ${length} octets long`);
  }
  return frameMessage(messageType.open, to.finish());
}
