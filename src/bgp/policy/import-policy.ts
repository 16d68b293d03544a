import type { IpAddr } from "../../lib/ip-addr.ts";
import type { PathAttributes } from "../wire/message.ts";
import { reflectionLoop } from "./route-reflection.ts";

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
}

export type ImportVerdict =
  | { readonly accepted: true; readonly localPref: number }
  | { readonly accepted: false; readonly reason: ImportRejection };

export type ImportRejection =
  | "as-loop"
  | "originator-is-self"
  | "cluster-loop"
  | "next-hop-is-self"
  | "no-next-hop";

/**
 * Whether a received route may be used (facts 5.17: import accepts by default; RFC 4271 sections 9.1.2
 * and 5.1.3, RFC 4456 section 8).
 */
export function importRoute(
  route: { readonly attributes: PathAttributes; readonly nextHop: IpAddr | undefined },
  facts: ImportFacts,
  isOwnAddress: (address: IpAddr) => boolean,
): ImportVerdict {
  const { attributes, nextHop } = route;
  if (nextHop === undefined) return { accepted: false, reason: "no-next-hop" };
  if (timesInPath(attributes, facts.localAs) > facts.allowedLocalAs) {
    return { accepted: false, reason: "as-loop" };
  }
  const loop = facts.external ? undefined : reflectionLoop(attributes, facts);
  if (loop !== undefined) return { accepted: false, reason: loop };
  if (isOwnAddress(nextHop)) return { accepted: false, reason: "next-hop-is-self" };
  const localPref = facts.external ? undefined : attributes.localPref;
  return { accepted: true, localPref: localPref ?? defaultLocalPref };
}

function timesInPath({ asPath }: PathAttributes, asn: number): number {
  let times = 0;
  for (const { asns } of asPath) for (const each of asns) if (each === asn) times++;
  return times;
}
