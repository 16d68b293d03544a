import type { Asn } from "../../lib/asn.ts";
import type { ByteWriter } from "../../lib/byte-writer.ts";
import type { AttributeCursor } from "./attribute-cursor.ts";
import type { AsPathSegment } from "./message.ts";
import { asTrans } from "./open.ts";

/** Segment types (RFC 4271 section 4.3, RFC 5065 section 3), by their number. */
const segmentKinds = [undefined, "set", "sequence", "confedSequence", "confedSet"] as const;

const maxSegmentLength = 255;

/**
 * True when `value` holds whole segments: type (1), number of ASes (1), ASes (2 or 4 octets each).
 * Malformed are (RFC 7606 section 7.2) an unknown type, a segment without an AS, too few or too many
 * octets, and AS 0 (RFC 7607 section 2).
 */
export function checkAsPath(value: AttributeCursor, asOctets: 2 | 4): boolean {
  let at = 0;
  while (at < value.length) {
    if (at + 2 > value.length) return false;
    const kind = value.u8(at);
    const end = at + 2 + value.u8(at + 1) * asOctets;
    if (kind < 1 || kind > 4 || end === at + 2 || end > value.length) return false;
    for (at += 2; at < end; at += asOctets) {
      if ((asOctets === 4 ? value.u32(at) : value.u16(at)) === 0) return false;
    }
  }
  return true;
}

/** True when a checked path has a segment of a confederation (RFC 5065 section 3). */
export function hasConfederation(value: AttributeCursor, asOctets: 2 | 4): boolean {
  for (let at = 0; at < value.length; at += 2 + value.u8(at + 1) * asOctets) {
    if (value.u8(at) > 2) return true;
  }
  return false;
}

/** The segments of a checked path. */
export function decodeAsPath(value: AttributeCursor, asOctets: 2 | 4): AsPathSegment[] {
  const segments: AsPathSegment[] = [];
  let at = 0;
  while (at < value.length) {
    const kind = segmentKinds[value.u8(at)] ?? "sequence";
    const end = at + 2 + value.u8(at + 1) * asOctets;
    const asns: Asn[] = [];
    for (at += 2; at < end; at += asOctets) {
      asns.push((asOctets === 4 ? value.u32(at) : value.u16(at)) as Asn);
    }
    segments.push({ kind, asns });
  }
  return segments;
}

/** A segment over 255 ASes is written as several. In two octets a longer AS becomes AS_TRANS. */
export function encodeAsPath(
  segments: readonly AsPathSegment[],
  asOctets: 2 | 4,
  to: ByteWriter,
): void {
  for (const { kind, asns } of segments) {
    for (let first = 0; first < asns.length; first += maxSegmentLength) {
      const part = asns.slice(first, first + maxSegmentLength);
      to.u8(segmentKinds.indexOf(kind)).u8(part.length);
      for (const asn of part) {
        if (asOctets === 4) to.u32(asn);
        else to.u16(asn > 0xffff ? asTrans : asn);
      }
    }
  }
}

/**
 * True when the path loses an AS in two octets, so that AS4_PATH must go along (RFC 6793 section
 * 4.2.2). What AS4_PATH could not hold anyway does not count.
 */
export function needsAs4Path(segments: readonly AsPathSegment[]): boolean {
  return withoutConfederation(segments).some(({ asns }) => asns.some((asn) => asn > 0xffff));
}

/** What AS4_PATH may hold: confederation segments must not be in it (RFC 6793 section 3). */
export function withoutConfederation(segments: readonly AsPathSegment[]): AsPathSegment[] {
  return segments.filter(({ kind }) => kind === "sequence" || kind === "set");
}

/**
 * The path of which an old peer told `asPath` in two octets and passed on `as4Path` (RFC 6793
 * section 4.2.3): AS4_PATH, preceded by what old speakers have added to AS_PATH alone.
 */
export function mergeAs4Path(
  asPath: readonly AsPathSegment[],
  as4Path: readonly AsPathSegment[],
): readonly AsPathSegment[] {
  const wide = withoutConfederation(as4Path);
  let lead = pathLength(asPath) - pathLength(wide);
  if (lead < 0 || wide.length === 0) return asPath;
  const merged: AsPathSegment[] = [];
  for (const segment of asPath) {
    const confederation = segment.kind === "confedSequence" || segment.kind === "confedSet";
    if (lead === 0 && !confederation) break;
    if (segment.kind === "sequence" && segment.asns.length > lead) {
      merged.push({ kind: "sequence", asns: segment.asns.slice(0, lead) });
      break;
    }
    merged.push(segment);
    if (!confederation) lead -= segment.kind === "set" ? 1 : segment.asns.length;
  }
  return joinSequences(merged, wide);
}

/** As the decision process counts: a set is one, confederations are none (RFC 5065 section 5.3). */
function pathLength(segments: readonly AsPathSegment[]): number {
  let length = 0;
  for (const { kind, asns } of segments) {
    if (kind === "sequence") length += asns.length;
    else if (kind === "set") length += 1;
  }
  return length;
}

function joinSequences(head: AsPathSegment[], tail: readonly AsPathSegment[]): AsPathSegment[] {
  const [last, first] = [head.at(-1), tail[0]];
  if (last?.kind !== "sequence" || first?.kind !== "sequence") return [...head, ...tail];
  const joined: AsPathSegment = { kind: "sequence", asns: [...last.asns, ...first.asns] };
  return [...head.slice(0, -1), joined, ...tail.slice(1)];
}
