import type { IpAddr } from "../../lib/ip-addr.ts";
import type { PathAttributes } from "../wire/message.ts";
import { type FilterRoute, filterText, type RouteFilters } from "./filter.ts";
import type { RouteOperation } from "./peer-policy.ts";
import { applyOperations } from "./route-operations.ts";
import { reflectionLoop } from "./route-reflection.ts";
import { wellKnown } from "./well-known.ts";

/** Value of a route that comes without LOCAL_PREF (BIRD's default). */
export const defaultLocalPref = 100;

/** What import policy knows of a peer and of ourselves. */
export interface ImportFacts {
  readonly external: boolean;
  readonly localAs: number;
  /** How often our AS may be in a path (BGPPeer numAllowedLocalASNumbers). */
  readonly allowedLocalAs: number;
  readonly routerId: number;
  readonly clusterId?: number;
  readonly filters?: RouteFilters;
}

/** What is known of next hops here. */
export interface NextHopFacts {
  isOwn(address: IpAddr): boolean;
  interfaceOf(nextHop: IpAddr): string | undefined;
}

/** `operations` change the attributes: the route is used and told with what they give. */
export type ImportVerdict =
  | { readonly accepted: true; readonly operations: readonly RouteOperation[] }
  | { readonly accepted: false; readonly reason: ImportRejection };

export type ImportRejection =
  | "as-loop"
  | "originator-is-self"
  | "cluster-loop"
  | "next-hop-is-self"
  | "no-next-hop"
  /** "filter NAME rule N". */
  | `filter ${string}`;

/** A received route: prefix `index` of `prefixes`. */
export interface ReceivedRoute extends Pick<FilterRoute, "prefixes" | "index"> {
  readonly attributes: PathAttributes;
  readonly nextHop: IpAddr | undefined;
}

/**
 * Whether a received route may be used: first what BGP asks (RFC 4271 sections 9.1.2 and 5.1.3, RFC
 * 4456 section 8), then the peer's filters (facts 5.17).
 */
export function importRoute(
  route: ReceivedRoute,
  facts: ImportFacts,
  nextHops: NextHopFacts,
): ImportVerdict {
  const { attributes, nextHop } = route;
  if (nextHop === undefined) return { accepted: false, reason: "no-next-hop" };
  if (timesInPath(attributes, facts.localAs) > facts.allowedLocalAs) {
    return { accepted: false, reason: "as-loop" };
  }
  const loop = facts.external ? undefined : reflectionLoop(attributes, facts);
  if (loop !== undefined) return { accepted: false, reason: loop };
  if (nextHops.isOwn(nextHop)) return { accepted: false, reason: "next-hop-is-self" };
  const leaving = attributes.communities?.includes(wellKnown.gracefulShutdown) === true;
  const operations = leaving ? leastPreferred : unchanged;
  if (facts.filters === undefined) return { accepted: true, operations };
  return filtered(route, operations, { ...facts, nextHop, nextHops });
}

/** What the peer's filters say; a route that none of them decides on is accepted. */
function filtered(
  route: ReceivedRoute,
  before: readonly RouteOperation[],
  facts: ImportFacts & { readonly nextHop: IpAddr; readonly nextHops: NextHopFacts },
): ImportVerdict {
  const attributes = applyOperations(route.attributes, before);
  const verdict = facts.filters?.decide({
    ...route,
    attributes,
    learned: facts.external ? "ebgp" : "ibgp",
    localPref: attributes.localPref ?? defaultLocalPref,
    interface: facts.nextHops.interfaceOf(facts.nextHop),
  });
  if (verdict?.accepted === false) return { accepted: false, reason: filterText(verdict) };
  return { accepted: true, operations: [...before, ...(verdict?.operations ?? [])] };
}

const unchanged: readonly RouteOperation[] = [];

/** Of a route whose sender is about to go: used while there is no other (RFC 8326 section 4.2). */
const leastPreferred: readonly RouteOperation[] = [{ kind: "setLocalPref", localPref: 0 }];

function timesInPath({ asPath }: PathAttributes, asn: number): number {
  let times = 0;
  for (const { asns } of asPath) for (const each of asns) if (each === asn) times++;
  return times;
}
