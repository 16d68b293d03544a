import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import {
  type AttributeScan,
  decodePathAttributes,
  scanAttributes,
  updateSubcode,
} from "./attributes.ts";
import type { DecodeContext } from "./context.ts";
import { type Decoded, UpdateError } from "./decode-error.ts";
import type { PackedPrefixes, PathAttributes, UpdateMessage } from "./message.ts";
import { decodeNlri } from "./nlri.ts";

interface Announcement {
  readonly prefixes: PackedPrefixes;
  readonly nextHop: IpAddr | undefined;
}

/**
 * Body of UPDATE (RFC 4271 section 4.3), at least 4 octets: length (2) and withdrawn prefixes, length
 * (2) and path attributes, announced prefixes. Errors are handled as RFC 7606 says, all of them here:
 * what the message decodes later, on demand, has been checked.
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
  const withdrawnEnd = 2 + u16(body, 0);
  if (withdrawnEnd + 2 > body.length) throw overrun("Withdrawn Routes", withdrawnEnd - 2);
  const attributesEnd = withdrawnEnd + 2 + u16(body, withdrawnEnd);
  if (attributesEnd > body.length) {
    throw overrun("Path attributes", attributesEnd - withdrawnEnd - 2);
  }
  const withdrawn4 = classicPrefixes(body.subarray(2, withdrawnEnd), "Withdrawn Routes", context);
  const announced4 = classicPrefixes(body.subarray(attributesEnd), "NLRI", context);
  const scan = scanAttributes(body.subarray(withdrawnEnd + 2, attributesEnd), context);
  const { reach, unreach } = scan;

  const withdrawn: PackedPrefixes[] = [];
  const announcements: Announcement[] = [];
  if (context.families.includes(4)) {
    if (withdrawn4 !== undefined) withdrawn.push(withdrawn4);
    if (announced4 !== undefined) {
      announcements.push({ prefixes: announced4, nextHop: scan.nextHop });
    }
  }
  if (unreach?.prefixes !== undefined && unreach.prefixes.count > 0) {
    withdrawn.push(unreach.prefixes);
  }
  if (reach?.prefixes !== undefined && reach.prefixes.count > 0) {
    announcements.push({ prefixes: reach.prefixes, nextHop: reach.nextHop });
  }
  const reachable = announced4 !== undefined || reach !== undefined;
  const reason = withdrawReason(scan, reachable, announcements);
  if (reason !== undefined) return asWithdrawn(withdrawn, announcements, reason);
  if (announcements.length > 0) {
    const { rawAttributes, discard } = scan;
    return new Announcing({ withdrawn, announcements, rawAttributes, discard }, context);
  }
  return { kind: "update", withdrawn, announced: [], endOfRib: endOfRibOf(body, scan) };
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function overrun(field: string, octets: number): UpdateError {
  const reason = `${field} of ${octets} octets run past the message`;
  return new UpdateError(reason, updateSubcode.malformedList);
}

/** Undefined for none. RFC 7606 section 5.3: prefixes that cannot be read reset the session. */
function classicPrefixes(
  bytes: Uint8Array,
  field: string,
  { addPath }: DecodeContext,
): PackedPrefixes | undefined {
  if (bytes.length === 0) return undefined;
  const prefixes = decodeNlri(bytes, 4, addPath?.includes(4));
  if (prefixes !== undefined) return prefixes;
  throw new UpdateError(`${field} hold a malformed prefix`, updateSubcode.networkField);
}

/** Why the announced prefixes must be treated as withdrawn; undefined when all is well. */
function withdrawReason(
  { withdraw, hasOrigin, hasAsPath, reach, rawAttributes }: AttributeScan,
  reachable: boolean,
  announcements: readonly Announcement[],
): string | undefined {
  if (!reachable) {
    // RFC 7606 section 5.2: beside MP_UNREACH_NLRI the prefixes may be in what could not be read.
    if (withdraw === undefined || rawAttributes.length === 0) return withdraw;
    throw new UpdateError(withdraw, updateSubcode.malformedList);
  }
  if (withdraw !== undefined) return withdraw;
  if (announcements.length === 0) return undefined;
  if (!hasOrigin) return "ORIGIN is missing";
  if (!hasAsPath) return "AS_PATH is missing";
  const noNextHop = announcements.some(({ nextHop }) => nextHop === undefined);
  if (!noNextHop) return undefined;
  return reach !== undefined && reach.nextHop === undefined
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
function endOfRibOf(body: Uint8Array, { unreach, count }: AttributeScan): IpFamily[] {
  if (body.length === 4) return [4];
  const empty = unreach?.prefixes?.count === 0 && count === 1 ? unreach.prefixes : undefined;
  // 4 octets of lengths, 3 or 4 of attribute header, 3 of AFI and SAFI: nothing else.
  return empty !== undefined && body.length <= 11 ? [empty.family] : [];
}

const noFamilies: readonly IpFamily[] = [];

/** An UPDATE that announces: it decodes its attributes when they are asked for. */
class Announcing implements UpdateMessage {
  readonly kind = "update";
  readonly withdrawn: readonly PackedPrefixes[];
  readonly announced: UpdateMessage["announced"];
  readonly endOfRib: readonly IpFamily[] = noFamilies;
  readonly rawAttributes: Uint8Array;
  readonly discarded: string | undefined;
  readonly #context: DecodeContext;
  #attributes: PathAttributes | undefined;

  /** The announcements all have a next hop. */
  constructor(
    parts: {
      readonly withdrawn: readonly PackedPrefixes[];
      readonly announcements: readonly Announcement[];
      readonly rawAttributes: Uint8Array;
      readonly discard: string | undefined;
    },
    context: DecodeContext,
  ) {
    this.withdrawn = parts.withdrawn;
    this.announced = parts.announcements as UpdateMessage["announced"];
    this.rawAttributes = parts.rawAttributes;
    this.discarded = parts.discard;
    this.#context = context;
  }

  get attributes(): PathAttributes {
    this.#attributes ??= decodePathAttributes(this.rawAttributes, this.#context);
    return this.#attributes;
  }
}
