import type { PrefixList } from "../rib/packed-prefix.ts";
import type { PackedPrefixes } from "../wire/message.ts";
import { passesToInternalPeer, type RouteSource } from "./route-reflection.ts";

/** Prefixes that the export policy of a node is made of. */
export interface ExportConfig {
  /** Own blocks whose affinity is confirmed. */
  readonly ownBlocks: PrefixList;
  readonly exportDisabledPools: PrefixList;
  readonly enabledPools: PrefixList;
  /** Load balancer and external ranges that a route reflector passes on; empty elsewhere. */
  readonly reflectedServices: PrefixList;
}

/** A route as the policy sees it: prefix `index` of `prefixes`. */
export interface ExportRoute {
  readonly prefixes: PackedPrefixes;
  readonly index: number;
  readonly source: RouteSource;
  readonly communities: readonly number[];
}

export interface ExportPeer {
  readonly external: boolean;
  /** Our route reflector client. */
  readonly client: boolean;
}

/** The deciding step. */
export type ExportStep =
  | "ibgp-split-horizon"
  | "no-advertise"
  | "no-export"
  | "pool-export-disabled"
  | "own-block"
  | "inside-own-block"
  | "reflected-service"
  | "enabled-pool"
  | "no-rule";

export interface ExportVerdict {
  readonly accepted: boolean;
  readonly step: ExportStep;
}

interface ExportRow {
  readonly step: ExportStep;
  readonly accepts: boolean;
  readonly when: (route: ExportRoute, peer: ExportPeer, config: ExportConfig) => boolean;
}

/** Well-known communities (RFC 1997). */
const community = { noExport: 0xffffff01, noAdvertise: 0xffffff02, noExportSubconfed: 0xffffff03 };

/**
 * Facts 5.17, in order: the first row that applies decides. Rows 4 and 5 of the facts reject routes of
 * tunnel devices: they are learned from the kernel, which this speaker does not do.
 */
const rows: readonly ExportRow[] = [
  {
    step: "ibgp-split-horizon",
    accepts: false,
    when: ({ source }, peer) => !peer.external && !passesToInternalPeer(source, peer.client),
  },
  {
    step: "no-advertise",
    accepts: false,
    when: ({ communities }) => communities.includes(community.noAdvertise),
  },
  {
    step: "no-export",
    accepts: false,
    when: ({ communities }, peer) =>
      peer.external &&
      (communities.includes(community.noExport) ||
        communities.includes(community.noExportSubconfed)),
  },
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
  { step: "no-rule", accepts: false, when: () => true },
];

/** Whether a route is told to a peer, and which step decided. Pure. */
export function exportRoute(
  route: ExportRoute,
  peer: ExportPeer,
  config: ExportConfig,
): ExportVerdict {
  for (const { step, accepts, when } of rows) {
    if (when(route, peer, config)) return { accepted: accepts, step };
  }
  return { accepted: false, step: "no-rule" };
}
