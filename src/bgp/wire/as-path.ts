import type { Asn } from "../../lib/asn.ts";
import type { ByteReader } from "../../lib/byte-reader.ts";
import type { ByteWriter } from "../../lib/byte-writer.ts";
import type { AsPathSegment } from "./message.ts";
import { asTrans } from "./open.ts";

/** Segment types (RFC 4271 section 4.3, RFC 5065 section 3), by their number. */
const segmentKinds = [undefined, "set", "sequence", "confedSequence", "confedSet"] as const;

const maxSegmentLength = 255;

/**
 * Reads segments: type (1), number of ASes (1), ASes (2 or 4 octets each). Undefined when malformed
 * as RFC 7606 section 7.2 defines it: unknown type, no AS in a segment, too few or too many octets.
 */
export function decodeAsPath(value: ByteReader, asOctets: 2 | 4): AsPathSegment[] | undefined {
  const segments: AsPathSegment[] = [];
  while (value.remaining > 0) {
    if (value.remaining < 2) return undefined;
    const kind = segmentKinds[value.u8()];
    const count = value.u8();
    if (kind === undefined || count === 0 || count * asOctets > value.remaining) return undefined;
    const asns: Asn[] = [];
    for (let i = 0; i < count; i++) asns.push((asOctets === 4 ? value.u32() : value.u16()) as Asn);
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

/** True when the path loses an AS in two octets, so that AS4_PATH must go along (RFC 6793 4.2.2). */
export function needsAs4Path(segments: readonly AsPathSegment[]): boolean {
  return segments.some(({ asns }) => asns.some((asn) => asn > 0xffff));
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
