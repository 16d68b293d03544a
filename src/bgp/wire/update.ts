import { ByteReader } from "../../lib/byte-reader.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import { type DecodedAttributes, decodeAttributes, updateSubcode } from "./attributes.ts";
import type { DecodeContext } from "./context.ts";
import { type Decoded, UpdateError } from "./decode-error.ts";
import type { PackedPrefixes, PathAttributes, UpdateMessage } from "./message.ts";
import { decodeNlri } from "./nlri.ts";

interface Announcement {
  readonly prefixes: PackedPrefixes;
  readonly nextHop: IpAddr | undefined;
}

/**
 * Body of UPDATE (RFC 4271 section 4.3): length (2) and withdrawn prefixes, length (2) and path
 * attributes, announced prefixes. Errors are handled as RFC 7606 says.
 */
export function decodeUpdate(body: Uint8Array, context: DecodeContext): Decoded<UpdateMessage> {
  try {
    return { ok: true, message: readUpdate(body, context) };
  } catch (error) {
    if (error instanceof UpdateError) return error.failure;
    throw error;
  }
}

function readUpdate(body: Uint8Array, context: DecodeContext): UpdateMessage {
  const fields = splitFields(body);
  const withdrawn4 = classicPrefixes(fields.withdrawn, "Withdrawn Routes", context);
  const announced4 = classicPrefixes(fields.announced, "NLRI", context);
  const decoded = decodeAttributes(fields.attributes, context);
  const { draft, codes } = decoded;

  const withdrawn: PackedPrefixes[] = [];
  const announcements: Announcement[] = [];
  if (context.families.includes(4)) {
    if (withdrawn4.count > 0) withdrawn.push(withdrawn4);
    if (announced4.count > 0) announcements.push({ prefixes: announced4, nextHop: draft.nextHop });
  }
  const { unreach, reach } = draft;
  if ((unreach?.prefixes?.count ?? 0) > 0) withdrawn.push(unreach?.prefixes as PackedPrefixes);
  if (reach?.prefixes !== undefined && reach.prefixes.count > 0) {
    announcements.push({ prefixes: reach.prefixes, nextHop: reach.nextHop });
  }
  const reachable = announced4.count > 0 || reach !== undefined;
  const reason = withdrawReason(decoded, reachable, announcements);
  if (reason !== undefined) return asWithdrawn(withdrawn, announcements, reason);
  const endOfRib = endOfRibOf(body, { unreach: unreach?.prefixes, codes });
  return assemble({ withdrawn, announcements, endOfRib }, draft.attributes as PathAttributes);
}

function splitFields(body: Uint8Array): {
  readonly withdrawn: Uint8Array;
  readonly attributes: Uint8Array;
  readonly announced: Uint8Array;
} {
  const reader = new ByteReader(body);
  const withdrawnLength = reader.u16();
  if (withdrawnLength + 2 > reader.remaining) {
    const reason = `Withdrawn Routes of ${withdrawnLength} octets run past the message`;
    throw new UpdateError(reason, updateSubcode.malformedList);
  }
  const withdrawn = reader.bytes(withdrawnLength);
  const attributesLength = reader.u16();
  if (attributesLength > reader.remaining) {
    const reason = `Path attributes of ${attributesLength} octets run past the message`;
    throw new UpdateError(reason, updateSubcode.malformedList);
  }
  const attributes = reader.bytes(attributesLength);
  return { withdrawn, attributes, announced: reader.bytes(reader.remaining) };
}

/** RFC 7606 section 5.3: prefixes that cannot be read reset the session. */
function classicPrefixes(
  bytes: Uint8Array,
  field: string,
  { addPath }: DecodeContext,
): PackedPrefixes {
  const prefixes = decodeNlri(bytes, 4, addPath?.includes(4));
  if (prefixes !== undefined) return prefixes;
  throw new UpdateError(`${field} hold a malformed prefix`, updateSubcode.networkField);
}

/** Why the announced prefixes must be treated as withdrawn; undefined when all is well. */
function withdrawReason(
  { withdraw, draft, codes }: DecodedAttributes,
  reachable: boolean,
  announcements: readonly Announcement[],
): string | undefined {
  if (!reachable) {
    if (withdraw === undefined) return undefined;
    // RFC 7606 section 5.2: the prefixes may be in what could not be read.
    throw new UpdateError(withdraw, updateSubcode.malformedList);
  }
  if (withdraw !== undefined) return withdraw;
  if (announcements.length === 0) return undefined;
  if (draft.attributes.origin === undefined) return "ORIGIN is missing";
  if (draft.attributes.asPath === undefined) return "AS_PATH is missing";
  const noNextHop = announcements.some(({ nextHop }) => nextHop === undefined);
  if (!noNextHop) return undefined;
  return codes.has(14) && draft.reach?.nextHop === undefined
    ? "The next hop of MP_REACH_NLRI is not a host"
    : "NEXT_HOP is missing";
}

function asWithdrawn(
  withdrawn: readonly PackedPrefixes[],
  announcements: readonly Announcement[],
  treatedAsWithdraw: string,
): UpdateMessage {
  const all = [...withdrawn, ...announcements.map(({ prefixes }) => prefixes)];
  return { kind: "update", withdrawn: all, announced: [], endOfRib: [], treatedAsWithdraw };
}

/** RFC 4724 section 2: an empty UPDATE is for IPv4, one with an empty MP_UNREACH_NLRI for its family. */
function endOfRibOf(
  body: Uint8Array,
  {
    unreach,
    codes,
  }: { readonly unreach: PackedPrefixes | undefined; readonly codes: ReadonlySet<number> },
): IpFamily[] {
  if (body.length === 4) return [4];
  const emptyUnreach = unreach !== undefined && unreach.count === 0 && codes.size === 1;
  // 4 octets of lengths, 3 or 4 of attribute header, 3 of AFI and SAFI: nothing else.
  return emptyUnreach && body.length <= 11 ? [unreach.family] : [];
}

function assemble(
  parts: {
    readonly withdrawn: readonly PackedPrefixes[];
    readonly announcements: readonly Announcement[];
    readonly endOfRib: readonly IpFamily[];
  },
  attributes: PathAttributes,
): UpdateMessage {
  const { withdrawn, endOfRib } = parts;
  const announced: { prefixes: PackedPrefixes; nextHop: IpAddr }[] = [];
  for (const { prefixes, nextHop } of parts.announcements) {
    if (nextHop !== undefined) announced.push({ prefixes, nextHop });
  }
  if (announced.length === 0) return { kind: "update", withdrawn, announced, endOfRib };
  return { kind: "update", withdrawn, announced, attributes, endOfRib };
}
