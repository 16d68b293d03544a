import type { Asn } from "../../lib/asn.ts";
import type { IpAddr } from "../../lib/ip-addr.ts";
import type { PrefixList } from "../rib/packed-prefix.ts";
import type { PathAttributes } from "../wire/message.ts";
import { defaultLocalPref } from "./import-policy.ts";
import { localPrefOfMetric } from "./metric.ts";
import type { RouteOperation } from "./peer-policy.ts";
import { addCommunities, applyOperations, prependedPath } from "./route-operations.ts";
import { type RouteSource, reflectedAttributes } from "./route-reflection.ts";
import { wellKnown } from "./well-known.ts";

export { normalRoutePriority } from "./metric.ts";

/** MED of a route that another node of our AS owns. */
const secondHandMed = 100;

/** Bit T of the type of an extended community (RFC 4360 section 2). */
const nonTransitive = 0x40;

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
  /** Absent: "calico". */
  readonly scope?: "calico" | "all";
}

/** What every peer is told of ourselves. */
export interface ExportSelf {
  /** Metric of our own routes. */
  readonly normalPriority: number;
  /** For the routes that we reflect. */
  readonly clusterId: number;
  /** This node is about to go: what leads through it leaves with GRACEFUL_SHUTDOWN. */
  readonly draining: boolean;
}

export interface RouteToExport {
  readonly attributes: PathAttributes;
  /** Absent for what we originate with ourselves as next hop. */
  readonly nextHop: IpAddr | undefined;
  readonly source: RouteSource;
  readonly sourceRouterId: number;
}

/**
 * Attributes and next hop with which a peer is told of a route (RFC 4271 section 5.1). What a node that
 * drains reflects with the next hop of others is not marked: their packets do not come by it.
 */
export function exportAttributes(
  route: RouteToExport,
  target: ExportTarget,
  self: ExportSelf,
  operations: readonly RouteOperation[] = [],
): { readonly attributes: PathAttributes; readonly nextHop: IpAddr } {
  const base = target.external
    ? withMedOfExternal(route, target)
    : { ...route.attributes, localPref: exportedLocalPref(route, self) };
  const changed = applyOperations(base, operations);
  const nextHop = nextHopFor(route, target);
  const leadsHere = route.source.learned === "local" || nextHop === target.localAddress;
  const announced = self.draining && leadsHere ? withGracefulShutdown(changed) : changed;
  const attributes = target.external
    ? toExternal(announced, target.localAs)
    : toInternal(announced, route, self);
  return { attributes, nextHop };
}

/** LOCAL_PREF of a route before what a peer's filters do (facts 5.17 step 1). */
export function exportedLocalPref(
  { attributes, source }: Pick<RouteToExport, "attributes" | "source">,
  { normalPriority }: Pick<ExportSelf, "normalPriority">,
): number {
  if (attributes.localPref !== undefined) return attributes.localPref;
  return source.learned === "local" ? localPrefOfMetric(normalPriority) : defaultLocalPref;
}

/** Adds the communities of the advertisements that cover a route. */
export function withCommunities(
  attributes: PathAttributes,
  matching: readonly Advertisement[],
): PathAttributes {
  return matching.reduce(
    (all, { communities, largeCommunities }) =>
      addCommunities(all, [...communities, ...largeCommunities]),
    attributes,
  );
}

/** RFC 8326 section 4.1: the community for those outside, the lowest preference inside. */
function withGracefulShutdown(attributes: PathAttributes): PathAttributes {
  return { ...addCommunities(attributes, [wellKnown.gracefulShutdown]), localPref: 0 };
}

function toInternal(
  attributes: PathAttributes,
  { source, sourceRouterId }: RouteToExport,
  { clusterId }: ExportSelf,
): PathAttributes {
  return source.learned === "ibgp"
    ? reflectedAttributes(attributes, { clusterId, sourceRouterId })
    : attributes;
}

/**
 * A MED of others stays in the AS. A block that another node of our AS owns goes out with a MED, so
 * that a router that hears of it from all nodes (facts 5.17 step 4) sends its packets to the owner:
 * the AS paths are equally long. A plain router does not do this.
 */
function withMedOfExternal(
  { attributes, source }: RouteToExport,
  { scope }: ExportTarget,
): PathAttributes {
  if (source.learned === "local") return attributes;
  const { med: _med, ...kept } = attributes;
  return source.learned === "ibgp" && scope !== "all" ? { ...kept, med: secondHandMed } : kept;
}

/**
 * LOCAL_PREF, ORIGINATOR_ID, CLUSTER_LIST and confederations stay in the AS, and so do extended
 * communities that are not transitive (RFC 4360 section 6).
 */
function toExternal(attributes: PathAttributes, localAs: Asn): PathAttributes {
  const { localPref: _l, originatorId: _o, clusterList: _c, ...kept } = attributes;
  const outside = attributes.asPath.filter(({ kind }) => kind === "sequence" || kind === "set");
  const asPath = prependedPath(outside, [localAs]);
  const { extendedCommunities, ...others } = kept;
  const transitive =
    extendedCommunities?.filter(([type = 0]) => (type & nonTransitive) === 0) ?? [];
  return transitive.length === 0
    ? { ...others, asPath }
    : { ...others, asPath, extendedCommunities: transitive };
}

/** The next hop with which a peer is told of a route (RFC 4271 section 5.1.3). */
export function nextHopFor(
  { nextHop, source }: Pick<RouteToExport, "nextHop" | "source">,
  target: ExportTarget,
): IpAddr {
  if (nextHop === undefined || target.nextHopMode === "Self") return target.localAddress;
  if (target.nextHopMode === "Keep" || source.learned === "local") return nextHop;
  return target.external ? target.localAddress : nextHop;
}
