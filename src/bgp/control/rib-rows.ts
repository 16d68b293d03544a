import { InputError } from "../../lib/errors.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { type Prefix, prefixFamily } from "../../lib/prefix.ts";
import { dotted } from "../config/bgp-nodes.ts";
import { localPeer } from "../rib/adj-rib-in.ts";
import type { FamilyState, Speaker } from "../speaker/speaker.ts";
import type { AsPathSegment, PathAttributes } from "../wire/message.ts";

/** Attributes as they are shown. */
export interface AttributesView {
  readonly asPath: string;
  readonly origin: "IGP" | "EGP" | "incomplete";
  readonly localPref?: number;
  readonly med?: number;
  /** "64512:1", "1:2:3". */
  readonly communities?: readonly string[];
  readonly originatorId?: string;
  readonly clusterList?: readonly string[];
}

/** One route as it is shown. */
export interface RouteRow extends AttributesView {
  readonly prefix: Prefix;
  /** Session that told it, or "local". */
  readonly peer: string;
  readonly nextHop: string | null;
  readonly stale?: true;
}

/** Which routes: the chosen ones, or those that a peer has told, or is told. */
export interface RibQuery {
  readonly prefix?: Prefix;
  readonly in?: string;
  readonly out?: string;
  /** About so many: a page ends with a prefix. */
  readonly limit?: number;
  /** Where the page before ended. */
  readonly cursor?: RibCursor;
}

/** The first prefix that a page before did not have. Routes that come meanwhile may be missed. */
export interface RibCursor {
  readonly family: IpFamily;
  readonly prefixId: number;
}

/** Ids that are looked at between two places where others may have their turn. */
const idsPerStep = 1024;

type RowsOf = (prefixId: number) => readonly RouteRow[];

/**
 * The routes asked for; at last, where the next page begins. Undefined between rows: a good place to
 * pause, during which the RIB may change.
 */
export function* ribRows(
  speaker: Speaker,
  query: RibQuery,
): Generator<RouteRow | undefined, RibCursor | undefined> {
  const { cursor, limit = Number.POSITIVE_INFINITY } = query;
  let shown = 0;
  for (const family of [speaker.families[4], speaker.families[6]]) {
    const { rib } = family;
    if (cursor !== undefined && cursor.family > rib.family) continue;
    const rowsOf = rowsFrom(speaker, family, query);
    if (query.prefix !== undefined) {
      if (prefixFamily(query.prefix) !== rib.family) continue;
      const prefixId = rib.table.findPrefix(query.prefix);
      if (prefixId >= 0) yield* rowsOf(prefixId);
      continue;
    }
    const first = cursor?.family === rib.family ? cursor.prefixId : 0;
    for (let prefixId = first; prefixId < rib.table.idEnd; prefixId++) {
      if (prefixId % idsPerStep === 0) yield undefined;
      const rows = rowsOf(prefixId);
      if (rows.length > 0 && shown >= limit) return { family: rib.family, prefixId };
      shown += rows.length;
      yield* rows;
    }
  }
  return undefined;
}

function rowsFrom(speaker: Speaker, { rib, groups }: FamilyState, query: RibQuery): RowsOf {
  const row = (prefixId: number, source: number, attributesId: number) =>
    routeRow(speaker, rib.table.prefixAt(prefixId), { source, attributesId });
  if (query.in !== undefined) {
    const peer = numberOf(speaker, query.in);
    return (prefixId) =>
      rib.adjIn
        .paths(prefixId)
        .filter((stored) => stored.peer === peer)
        .map(({ attributesId, stale }) => ({
          ...row(prefixId, peer, attributesId),
          ...(stale ? { stale } : {}),
        }));
  }
  if (query.out !== undefined) {
    const peer = numberOf(speaker, query.out);
    return (prefixId) => {
      const route = groups.announcedTo(peer, prefixId);
      return route === undefined ? [] : [row(prefixId, route.source, route.attributesId)];
    };
  }
  return (prefixId) => {
    const best = rib.loc.get(prefixId);
    return best === undefined ? [] : [row(prefixId, best.peer, best.attributesId)];
  };
}

function numberOf(speaker: Speaker, name: string): number {
  const state = speaker.peers.get(name);
  if (state === undefined) throw new InputError(`Cannot find peer "${name}": see tortie bgp peers`);
  return state.number;
}

function routeRow(
  speaker: Speaker,
  prefix: Prefix,
  { source, attributesId }: { readonly source: number; readonly attributesId: number },
): RouteRow {
  const { attributes, nextHop } = speaker.attributes.get(attributesId);
  const name = speaker.peers.numbered(source)?.peer.config.name;
  return {
    prefix,
    peer: source === localPeer ? "local" : (name ?? "unknown"),
    nextHop: nextHop ?? null,
    ...attributesView(attributes),
  };
}

export function attributesView(attributes: PathAttributes): AttributesView {
  const { localPref, med, originatorId, clusterList } = attributes;
  const { communities = [], largeCommunities = [] } = attributes;
  const texts = [...communities.map(communityText), ...largeCommunities.map((c) => c.join(":"))];
  return {
    asPath: attributes.asPath.map(segmentText).join(" "),
    origin: (["IGP", "EGP", "incomplete"] as const)[attributes.origin],
    ...(localPref === undefined ? {} : { localPref }),
    ...(med === undefined ? {} : { med }),
    ...(texts.length === 0 ? {} : { communities: texts }),
    ...(originatorId === undefined ? {} : { originatorId: dotted(originatorId) }),
    ...(clusterList === undefined ? {} : { clusterList: clusterList.map(dotted) }),
  };
}

function communityText(value: number): string {
  return `${value >>> 16}:${value & 0xffff}`;
}

/** Sets in braces, confederation segments in brackets of their own, as other daemons print them. */
function segmentText({ kind, asns }: AsPathSegment): string {
  const text = asns.join(" ");
  return { sequence: text, set: `{${text}}`, confedSequence: `(${text})`, confedSet: `[${text}]` }[
    kind
  ];
}
