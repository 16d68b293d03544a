import type { Asn } from "../../lib/asn.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { PrefixList } from "../rib/packed-prefix.ts";
import type { AsPathSegment, PathAttributes } from "../wire/message.ts";
import { defaultLocalPref } from "./import-policy.ts";
import { type RouteSource, reflectedAttributes } from "./route-reflection.ts";

/** Metric of a route without one (facts 5.2, ipv4NormalRoutePriority). */
export const normalRoutePriority = 1024;

/** LOCAL_PREF of a route with a kernel metric, and back (facts 5.17 step 1). */
export function localPrefOfMetric(metric: number): number {
  return 0x7fffffff - metric;
}

/** MED of a route that another node of our AS owns. */
const secondHandMed = 100;

export type NextHopMode = "Auto" | "Self" | "Keep";

/** Communities for the routes inside some prefixes (BGPConfiguration prefixAdvertisements). */
export interface Advertisement {
  readonly prefixes: PrefixList;
  readonly communities: readonly number[];
  readonly largeCommunities: readonly (readonly [number, number, number])[];
}

/** What the attributes that a peer gets depend on. */
export interface ExportTarget {
  readonly external: boolean;
  readonly localAs: Asn;
  readonly localAddress: IpAddr;
  readonly nextHopMode: NextHopMode;
}

/** What every peer is told of ourselves. */
export interface ExportSelf {
  /** Metric of our own routes. */
  readonly normalPriority: number;
  /** For the routes that we reflect. */
  readonly clusterId: number;
}

export interface RouteToExport {
  readonly attributes: PathAttributes;
  /** Absent for what we originate. */
  readonly nextHop: IpAddr | undefined;
  readonly source: RouteSource;
  readonly sourceRouterId: number;
}

/** Attributes and next hop with which a peer is told of a route (RFC 4271 section 5.1). */
export function exportAttributes(
  route: RouteToExport,
  target: ExportTarget,
  self: ExportSelf,
): { readonly attributes: PathAttributes; readonly nextHop: IpAddr } {
  const attributes = target.external
    ? externalAttributes(route, target)
    : internalAttributes(route, self);
  return { attributes, nextHop: nextHopFor(route, target) };
}

/** Adds the communities of the advertisements that cover a route. */
export function withCommunities(
  attributes: PathAttributes,
  matching: readonly Advertisement[],
): PathAttributes {
  if (matching.length === 0) return attributes;
  const communities = new Set(attributes.communities);
  const large = new Map((attributes.largeCommunities ?? []).map((each) => [each.join(":"), each]));
  for (const advertisement of matching) {
    for (const each of advertisement.communities) communities.add(each);
    for (const each of advertisement.largeCommunities) large.set(each.join(":"), each);
  }
  return {
    ...attributes,
    ...(communities.size > 0 ? { communities: [...communities] } : {}),
    ...(large.size > 0 ? { largeCommunities: [...large.values()] } : {}),
  };
}

function internalAttributes(route: RouteToExport, self: ExportSelf): PathAttributes {
  const { attributes, source } = route;
  if (source.learned === "local") {
    return { ...attributes, localPref: localPrefOfMetric(self.normalPriority) };
  }
  const localPref =
    source.learned === "ibgp" ? (attributes.localPref ?? defaultLocalPref) : defaultLocalPref;
  const kept = { ...attributes, localPref };
  return source.learned === "ibgp"
    ? reflectedAttributes(kept, {
        clusterId: self.clusterId,
        sourceRouterId: route.sourceRouterId,
      })
    : kept;
}

/**
 * LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST and a MED of others stay in the AS. A block that another
 * node of our AS owns goes out with a MED, so that a router that hears of it from all nodes
 * (facts 5.17 step 4) sends its packets to the owner: the AS paths are equally long.
 */
function externalAttributes(route: RouteToExport, target: ExportTarget): PathAttributes {
  const { localPref: _l, originatorId: _o, clusterList: _c, med: _m, ...kept } = route.attributes;
  return {
    ...kept,
    asPath: prepend(route.attributes.asPath, target.localAs),
    ...(route.source.learned === "ibgp" ? { med: secondHandMed } : {}),
  };
}

function prepend(path: readonly AsPathSegment[], asn: Asn): readonly AsPathSegment[] {
  const outside = path.filter(({ kind }) => kind === "sequence" || kind === "set");
  const [first, ...rest] = outside;
  return first?.kind === "sequence"
    ? [{ kind: "sequence", asns: [asn, ...first.asns] }, ...rest]
    : [{ kind: "sequence", asns: [asn] }, ...outside];
}

function nextHopFor({ nextHop }: RouteToExport, target: ExportTarget): IpAddr {
  if (nextHop === undefined || target.nextHopMode === "Self") return target.localAddress;
  if (target.nextHopMode === "Keep") return nextHop;
  return target.external ? target.localAddress : nextHop;
}
