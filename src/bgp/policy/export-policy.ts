import type { PrefixList } from "../rib/packed-prefix.ts";
import { type FilterRoute, type FilterVerdict, filterText, type RouteFilters } from "./filter.ts";
import { passesToInternalPeer, type RouteSource } from "./route-reflection.ts";
import { wellKnown } from "./well-known.ts";

/** Prefixes that the export policy of a node is made of. */
export interface ExportConfig {
  /** Own blocks whose affinity is confirmed. */
  readonly ownBlocks: PrefixList;
  readonly exportDisabledPools: PrefixList;
  readonly enabledPools: PrefixList;
  /** Load balancer and external ranges that a route reflector passes on; empty elsewhere. */
  readonly reflectedServices: PrefixList;
}

/** A route as the policy sees it. */
export interface ExportRoute extends FilterRoute {
  readonly source: RouteSource;
}

export interface ExportPeer {
  readonly external: boolean;
  /** Our route reflector client. */
  readonly client: boolean;
  readonly filters?: RouteFilters;
  /** It speaks long-lived graceful restart (RFC 9494). Absent: false. */
  readonly longLived?: boolean;
  /** "all": what the protocol and the filters let pass is told. Absent: "calico". */
  readonly scope?: "calico" | "all";
}

/** The deciding step. */
export type ExportStep =
  | "ibgp-split-horizon"
  | "no-advertise"
  | "no-export"
  | "long-lived-stale"
  | "filter"
  | "scope-all"
  | "pool-export-disabled"
  | "own-block"
  | "inside-own-block"
  | "reflected-service"
  | "enabled-pool"
  | "no-rule";

export interface ExportVerdict {
  readonly accepted: boolean;
  readonly step: ExportStep;
  /** With step "filter". */
  readonly filter?: FilterVerdict;
}

interface ExportRow {
  readonly step: ExportStep;
  readonly accepts: boolean;
  readonly when: (route: ExportRoute, peer: ExportPeer, config: ExportConfig) => boolean;
}

/** What BGP itself asks, before any filter: the first row that applies decides. */
const protocolRows: readonly ExportRow[] = [
  {
    step: "ibgp-split-horizon",
    accepts: false,
    when: ({ source }, peer) => !peer.external && !passesToInternalPeer(source, peer.client),
  },
  {
    step: "no-advertise",
    accepts: false,
    when: (route) => carries(route, wellKnown.noAdvertise),
  },
  {
    step: "no-export",
    accepts: false,
    when: (route, peer) =>
      peer.external &&
      (carries(route, wellKnown.noExport) || carries(route, wellKnown.noExportSubconfed)),
  },
  {
    // RFC 9494 section 4.3.
    step: "long-lived-stale",
    accepts: false,
    when: (route, { longLived }) => longLived !== true && carries(route, wellKnown.llgrStale),
  },
];

/**
 * Facts 5.17 from step 3, after the peer's filters. Steps 4 and 5 reject routes of tunnel devices:
 * they are learned from the kernel, which this speaker does not do.
 */
const calicoRows: readonly ExportRow[] = [
  { step: "scope-all", accepts: true, when: (_, { scope }) => scope === "all" },
  {
    step: "pool-export-disabled",
    accepts: false,
    when: (route, _, config) => config.exportDisabledPools.covers(route.prefixes, route.index),
  },
  {
    step: "own-block",
    accepts: true,
    when: (route, _, { ownBlocks }) => ownBlocks.compare(route.prefixes, route.index) === "equal",
  },
  {
    step: "inside-own-block",
    accepts: false,
    when: (route, _, { ownBlocks }) => ownBlocks.compare(route.prefixes, route.index) === "inside",
  },
  {
    step: "reflected-service",
    accepts: true,
    when: (route, _, config) => config.reflectedServices.covers(route.prefixes, route.index),
  },
  {
    step: "enabled-pool",
    accepts: true,
    when: (route, _, config) => config.enabledPools.covers(route.prefixes, route.index),
  },
];

/** Whether a route is told to a peer, and which step decided. Pure. */
export function exportRoute(
  route: ExportRoute,
  peer: ExportPeer,
  config: ExportConfig,
): ExportVerdict {
  const refused = firstRow(protocolRows, route, peer, config);
  if (refused !== undefined) return refused;
  const filter = peer.filters?.decide(route);
  if (filter !== undefined) return { accepted: filter.accepted, step: "filter", filter };
  return firstRow(calicoRows, route, peer, config) ?? { accepted: false, step: "no-rule" };
}

/** The deciding step in words. */
export function exportText({ step, filter }: ExportVerdict): string {
  return filter === undefined ? `export step ${step}` : filterText(filter);
}

function firstRow(
  rows: readonly ExportRow[],
  route: ExportRoute,
  peer: ExportPeer,
  config: ExportConfig,
): ExportVerdict | undefined {
  for (const { step, accepts, when } of rows) {
    if (when(route, peer, config)) return { accepted: accepts, step };
  }
  return undefined;
}

function carries({ attributes }: ExportRoute, community: number): boolean {
  return attributes.communities?.includes(community) === true;
}
