import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";

/** RFC 5880 section 4.1, in the order of their numbers. */
export const bfdStates = ["AdminDown", "Down", "Init", "Up"] as const;
export type BfdState = (typeof bfdStates)[number];

/** RFC 5880 section 4.1, in the order of their numbers. */
const diagnostics = [
  "No Diagnostic",
  "Control Detection Time Expired",
  "Echo Function Failed",
  "Neighbor Signaled Session Down",
  "Forwarding Plane Reset",
  "Path Down",
  "Concatenated Path Down",
  "Administratively Down",
  "Reverse Concatenated Path Down",
] as const;

/** The codes that we send ourselves. */
export const diagnostic = {
  none: 0,
  detectionTimeExpired: 1,
  neighborDown: 3,
  administrativelyDown: 7,
} as const;

/** A BFD Control packet (RFC 5880 section 4.1). Intervals are in microseconds. */
export interface BfdPacket {
  readonly diagnostic: number;
  readonly state: BfdState;
  readonly poll: boolean;
  readonly final: boolean;
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  readonly detectMultiplier: number;
  readonly myDiscriminator: number;
  readonly yourDiscriminator: number;
  readonly desiredMinTxUs: number;
  readonly requiredMinRxUs: number;
  readonly requiredMinEchoRxUs: number;
}

export type DecodedPacket =
  | { readonly ok: true; readonly packet: BfdPacket }
  | { readonly ok: false; readonly reason: string };

export const packetLength = 24;
const version = 1;
const [poll, final, independent, authentication, demand, multipoint] = [32, 16, 8, 4, 2, 1];

/**
 * The packet of a datagram, or why RFC 5880 section 6.8.6 discards it without a look at any session.
 * Authentication is not spoken: a packet with it is discarded, as for a session that uses none.
 */
export function decodePacket(bytes: Uint8Array): DecodedPacket {
  if (bytes.length < packetLength) return discard(`${bytes.length} octets are too few`);
  const reader = new ByteReader(bytes);
  const [first, flags, detectMultiplier, length] = [
    reader.u8(),
    reader.u8(),
    reader.u8(),
    reader.u8(),
  ];
  if (first >> 5 !== version) return discard(`The version is ${first >> 5}`);
  const least = packetLength + ((flags & authentication) === 0 ? 0 : 2);
  if (length < least) return discard(`The length field is ${length}, less than ${least}`);
  if (length > bytes.length) return discard(`The length field is ${length} of ${bytes.length}`);
  if (detectMultiplier === 0) return discard("The detection multiplier is 0");
  if ((flags & multipoint) !== 0) return discard("The multipoint bit is set");
  const myDiscriminator = reader.u32();
  if (myDiscriminator === 0) return discard("My Discriminator is 0");
  if ((flags & authentication) !== 0) return discard("Authentication is not in use");
  const packet: BfdPacket = {
    diagnostic: first & 0x1f,
    state: bfdStates[flags >> 6] ?? "Down",
    poll: (flags & poll) !== 0,
    final: (flags & final) !== 0,
    controlPlaneIndependent: (flags & independent) !== 0,
    demand: (flags & demand) !== 0,
    detectMultiplier,
    myDiscriminator,
    yourDiscriminator: reader.u32(),
    desiredMinTxUs: reader.u32(),
    requiredMinRxUs: reader.u32(),
    requiredMinEchoRxUs: reader.u32(),
  };
  const isUnanswered = packet.state === "Init" || packet.state === "Up";
  if (packet.yourDiscriminator === 0 && isUnanswered) {
    return discard(`Your Discriminator is 0 in state ${packet.state}`);
  }
  return { ok: true, packet };
}

export function encodePacket(packet: BfdPacket): Uint8Array {
  const bits =
    (packet.poll ? poll : 0) |
    (packet.final ? final : 0) |
    (packet.controlPlaneIndependent ? independent : 0) |
    (packet.demand ? demand : 0);
  return new ByteWriter(packetLength)
    .u8((version << 5) | packet.diagnostic)
    .u8((bfdStates.indexOf(packet.state) << 6) | bits)
    .u8(packet.detectMultiplier)
    .u8(packetLength)
    .u32(packet.myDiscriminator)
    .u32(packet.yourDiscriminator)
    .u32(packet.desiredMinTxUs)
    .u32(packet.requiredMinRxUs)
    .u32(packet.requiredMinEchoRxUs)
    .finish();
}

/** Text of a diagnostic code (RFC 5880 section 4.1). Unknown codes stay numbers. */
export function diagnosticText(code: number): string {
  return diagnostics[code] ?? `Diagnostic ${code}`;
}

function discard(reason: string): DecodedPacket {
  return { ok: false, reason };
}
