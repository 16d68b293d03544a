import type { IpAddr } from "../../lib/ip-addr.ts";
import { readAddress } from "./address-memo.ts";
import { mergeAs4Path } from "./as-path.ts";
import { AttributeCursor } from "./attribute-cursor.ts";
import { attributeFlag, optionalTransitive } from "./attribute-flag.ts";
import { type AttributeDraft, type AttributeRow, attributeCode } from "./attribute-row.ts";
import { rowOfCode } from "./attribute-rows.ts";
import type { DecodeContext } from "./context.ts";
import { UpdateError } from "./decode-error.ts";
import type { PathAttributes } from "./message.ts";
import { decodeMpReach, decodeMpUnreach, type MpReach, type MpUnreach } from "./mp-nlri.ts";
import { asTrans } from "./open.ts";

/**
 * A path attribute field is read in two passes. `scanAttributes` runs on every UPDATE: it makes all
 * checks of RFC 7606 and reads prefixes and next hop, but builds no attribute. `decodePathAttributes`
 * runs when someone asks for the attributes: the RIB need not when it knows their octets already.
 *
 * Measured on Node 24, an UPDATE of 6 attributes and 6 prefixes: 1.0 us, 1.5 us with the second pass.
 */

/** Subcodes of UPDATE Message Error (RFC 4271 section 6.3). */
export const updateSubcode: {
  readonly malformedList: 1;
  readonly unknownWellKnown: 2;
  readonly optionalAttribute: 9;
  readonly networkField: 10;
} = { malformedList: 1, unknownWellKnown: 2, optionalAttribute: 9, networkField: 10 };

/** What the first pass finds in an attribute field. */
export interface AttributeScan {
  /** Why every prefix must be treated as withdrawn (RFC 7606); the first reason. */
  readonly withdraw: string | undefined;
  /** Why an attribute was discarded (RFC 7606); the first reason. */
  readonly discard: string | undefined;
  readonly hasOrigin: boolean;
  readonly hasAsPath: boolean;
  /** Of NEXT_HOP. */
  readonly nextHop: IpAddr | undefined;
  readonly reach: MpReach | undefined;
  readonly unreach: MpUnreach | undefined;
  /** How many attributes there are. */
  readonly count: number;
  /** The field without MP_*: a view of it, or a copy where they lie in its middle. */
  readonly rawAttributes: Uint8Array;
}

/** Checks a path attribute field. @throws {UpdateError} for what must reset the session. */
export function scanAttributes(field: Uint8Array, context: DecodeContext): AttributeScan {
  const scan = new Scan(field, context);
  const cursor = new AttributeCursor(field);
  while (cursor.next()) scan.attribute(cursor);
  if (cursor.problem !== undefined) scan.withdraw ??= cursor.problem;
  return scan;
}

class Scan implements AttributeScan {
  readonly #field: Uint8Array;
  readonly #context: DecodeContext;
  /** Start and end of each MP_*, in order. */
  #cuts: number[] | undefined;
  withdraw: string | undefined;
  discard: string | undefined;
  hasOrigin = false;
  hasAsPath = false;
  nextHop: IpAddr | undefined;
  reach: MpReach | undefined;
  unreach: MpUnreach | undefined;
  count = 0;

  constructor(field: Uint8Array, context: DecodeContext) {
    this.#field = field;
    this.#context = context;
  }

  get rawAttributes(): Uint8Array {
    return this.#cuts === undefined ? this.#field : without(this.#field, this.#cuts);
  }

  attribute(cursor: AttributeCursor): void {
    this.count++;
    const row = rowOfCode[cursor.code];
    if (cursor.isRepeated) {
      // RFC 7606 section 3 g: only the first of a kind counts, but prefixes must not be lost.
      const reason = `${row?.name ?? `Attribute ${cursor.code}`} is there twice`;
      if (row?.onError === "reset") throw new UpdateError(reason, updateSubcode.malformedList);
      this.discard ??= reason;
      return;
    }
    if (row === undefined) this.#unknown(cursor);
    else if (isUsable(row, cursor, this.#context)) this.#take(row, cursor);
    else this.#refuse(row, cursor);
  }

  #take({ name }: AttributeRow, cursor: AttributeCursor): void {
    switch (cursor.code) {
      case attributeCode.origin:
        this.hasOrigin = true;
        break;
      case attributeCode.asPath:
        this.hasAsPath = true;
        break;
      case attributeCode.nextHop:
        this.nextHop = readAddress(cursor, 0, 4);
        break;
      case attributeCode.mpReach:
        this.reach = this.#prefixes(decodeMpReach(cursor, this.#context), name, cursor);
        break;
      case attributeCode.mpUnreach:
        this.unreach = this.#prefixes(decodeMpUnreach(cursor, this.#context), name, cursor);
        break;
    }
  }

  #refuse(row: AttributeRow, cursor: AttributeCursor): void {
    const { name, onError } = row;
    if (isForeign(row, this.#context)) this.discard ??= `${name} came from another AS`;
    else if (!hasRightFlags(row, cursor)) {
      this.withdraw ??= `${name} has flags 0x${cursor.flags.toString(16)}`;
      // What can be read of prefixes is still needed, to withdraw them.
      if (onError === "reset") this.#take(row, cursor);
    } else if (onError === "withdraw") this.withdraw ??= malformed(name, cursor);
    else this.discard ??= malformed(name, cursor);
  }

  /** RFC 7606 section 5.3: prefixes that cannot be read reset the session. */
  #prefixes<Read>(read: Read | undefined, name: string, cursor: AttributeCursor): Read {
    if (read === undefined) {
      const data = this.#field.slice(cursor.start, cursor.end);
      throw new UpdateError(malformed(name, cursor), updateSubcode.optionalAttribute, data);
    }
    this.#cuts ??= [];
    this.#cuts.push(cursor.start, cursor.end);
    return read;
  }

  #unknown({ flags, code, start, end }: AttributeCursor): void {
    if ((flags & attributeFlag.optional) !== 0) return;
    const reason = `Well-known attribute ${code} is not known`;
    const data = this.#field.slice(start, end);
    throw new UpdateError(reason, updateSubcode.unknownWellKnown, data);
  }
}

function isUsable(row: AttributeRow, cursor: AttributeCursor, context: DecodeContext): boolean {
  return hasRightFlags(row, cursor) && !isForeign(row, context) && row.check(cursor, context);
}

function hasRightFlags({ flags }: AttributeRow, cursor: AttributeCursor): boolean {
  return (cursor.flags & (attributeFlag.optional | attributeFlag.transitive)) === flags;
}

function isForeign({ internalOnly }: AttributeRow, { external }: DecodeContext): boolean {
  return external && internalOnly === true;
}

function malformed(name: string, { length }: AttributeCursor): string {
  return `${name} of ${length} octets is malformed`;
}

function without(field: Uint8Array, cuts: readonly number[]): Uint8Array {
  // [start, end] of what stays, alternating.
  const bounds = [0, ...cuts, field.length];
  const parts: Uint8Array[] = [];
  for (let i = 0; i < bounds.length; i += 2) {
    const part = field.subarray(bounds[i], bounds[i + 1]);
    if (part.length > 0) parts.push(part);
  }
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/**
 * The attributes of `raw`, as UpdateMessage.rawAttributes holds it, with `context` of its session.
 * Of other octets: malformed attributes are left out, ORIGIN is then INCOMPLETE and AS_PATH empty.
 * Equal octets give equal attributes as long as fourOctetAs and external are the same. Nothing in the
 * result refers to `raw`.
 */
export function decodePathAttributes(raw: Uint8Array, context: DecodeContext): PathAttributes {
  const draft: AttributeDraft = { attributes: { origin: 2, asPath: [] } };
  const cursor = new AttributeCursor(raw);
  while (cursor.next()) {
    if (cursor.isRepeated) continue;
    const row = rowOfCode[cursor.code];
    if (row === undefined) keepUnknown(cursor, draft);
    else if (isUsable(row, cursor, context)) row.decode?.(cursor, draft, context);
  }
  if (!context.fourOctetAs) mergeOldPeer(draft);
  return draft.attributes;
}

/** Optional transitive ones are passed on, others are quietly ignored (RFC 4271 section 9). */
function keepUnknown(cursor: AttributeCursor, { attributes }: AttributeDraft): void {
  if ((cursor.flags & optionalTransitive) !== optionalTransitive) return;
  const kept = {
    flags: cursor.flags & ~attributeFlag.extendedLength & 0xf0,
    code: cursor.code,
    value: cursor.bytes(0, cursor.length).slice(),
  };
  attributes.unknown = [...(attributes.unknown ?? []), kept];
}

/** RFC 6793 section 4.2.3. A peer with 4-octet ASes must not send AS4_*: then they are dropped. */
function mergeOldPeer({ attributes, as4Path, as4Aggregator }: AttributeDraft): void {
  const aggregatorIsOld =
    attributes.aggregator !== undefined && attributes.aggregator.asn !== asTrans;
  if (as4Aggregator !== undefined && aggregatorIsOld) return;
  if (as4Aggregator !== undefined && attributes.aggregator !== undefined) {
    attributes.aggregator = as4Aggregator;
  }
  if (as4Path !== undefined) attributes.asPath = mergeAs4Path(attributes.asPath, as4Path);
}
