import { durationSeconds } from "../lib/duration.ts";

/** What Calico's BGPPeer has no field for is said by annotations (docs/bgp-annotations.md). */
export const bgpAnnotations = {
  bfd: "tortie.dev/bfd",
  extendedNextHop: "tortie.dev/extended-next-hop",
  longLivedStaleTime: "tortie.dev/long-lived-stale-time",
  maxPrefixes: "tortie.dev/max-prefixes",
} as const;

const annotationPrefix = "tortie.dev/";

export interface BfdAnnotation {
  readonly intervalMs: number;
  readonly multiplier: number;
  /** Absent: as the distance of the peer asks for. */
  readonly multihop?: boolean;
}

export interface MaxPrefixesAnnotation {
  readonly limit: number;
  readonly onExceed: "warn" | "teardown";
  readonly restartSeconds?: number;
}

export interface BgpAnnotations {
  readonly bfd?: BfdAnnotation;
  /** Sessions over IPv6 carry IPv4 routes, too, with IPv6 next hops (RFC 8950). */
  readonly extendedNextHop?: boolean;
  readonly longLivedStaleSeconds?: number;
  readonly maxPrefixes?: MaxPrefixesAnnotation;
}

type Annotations = Readonly<Record<string, string>>;

/**
 * What the annotations of a BGPPeer ask for.
 *
 * @throws {SyntaxError} that names the annotation and its value.
 */
export function bgpAnnotationsOf(annotations: Annotations = {}): BgpAnnotations {
  const { bfd, extendedNextHop, longLivedStaleTime, maxPrefixes } = bgpAnnotations;
  const unknown = Object.keys(annotations).find(
    (name) =>
      name.startsWith(annotationPrefix) && !Object.values<string>(bgpAnnotations).includes(name),
  );
  if (unknown !== undefined) throw new SyntaxError(`${unknown} is not known`);
  const read = <Value>(name: string, parse: (text: string) => Value): Value | undefined =>
    annotations[name] === undefined ? undefined : parse(annotations[name]);
  const values = {
    bfd: read(bfd, bfdOf),
    extendedNextHop: read(extendedNextHop, extendedNextHopOf),
    longLivedStaleSeconds: read(longLivedStaleTime, staleSecondsOf),
    maxPrefixes: read(maxPrefixes, maxPrefixesOf),
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** RFC 5880: an interval that most implementations take, and a detection multiplier of 8 bits. */
const bfdLimits = { minMs: 10, maxMs: 60_000, maxMultiplier: 255 };

function bfdOf(text: string): BfdAnnotation {
  const [, ms, times, hops] = /^(\d{1,6})ms x (\d{1,3})( multihop| singlehop)?$/.exec(text) ?? [];
  const [intervalMs, multiplier] = [Number(ms), Number(times)];
  const { minMs, maxMs, maxMultiplier } = bfdLimits;
  const valid =
    intervalMs >= minMs && intervalMs <= maxMs && multiplier >= 1 && multiplier <= maxMultiplier;
  if (!valid) {
    throw invalid(
      bgpAnnotations.bfd,
      text,
      'an interval from 10ms to 60000ms and a multiplier, as in "300ms x 3"',
    );
  }
  const multihop = hops === undefined ? {} : { multihop: hops === " multihop" };
  return { intervalMs, multiplier, ...multihop };
}

function extendedNextHopOf(text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw invalid(bgpAnnotations.extendedNextHop, text, '"true" or "false"');
}

/** RFC 9494: 24 bits. */
const maxStaleSeconds = 0xffffff;

function staleSecondsOf(text: string): number {
  const seconds = secondsOf(text);
  if (seconds !== undefined && seconds <= maxStaleSeconds) return seconds;
  throw invalid(
    bgpAnnotations.longLivedStaleTime,
    text,
    'a duration of at most 4660h, as in "24h"',
  );
}

function maxPrefixesOf(text: string): MaxPrefixesAnnotation {
  const [, count, what, pause] = /^(\d{1,9})( warn| restart (.+))?$/.exec(text) ?? [];
  const limit = Number(count);
  const restartSeconds = pause === undefined ? undefined : secondsOf(pause);
  if (limit >= 1 && (pause === undefined || restartSeconds !== undefined)) {
    const onExceed = what === " warn" ? "warn" : "teardown";
    return { limit, onExceed, ...(restartSeconds === undefined ? {} : { restartSeconds }) };
  }
  throw invalid(bgpAnnotations.maxPrefixes, text, 'as in "1000", "1000 warn" or "1000 restart 5m"');
}

function secondsOf(text: string): number | undefined {
  try {
    return durationSeconds(text);
  } catch {
    return undefined;
  }
}

function invalid(name: string, text: string, wanted: string): SyntaxError {
  return new SyntaxError(`${name} must be ${wanted}, got ${JSON.stringify(text)}`);
}
