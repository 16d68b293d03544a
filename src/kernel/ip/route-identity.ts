import { prefixFamily } from "../../lib/prefix.ts";
import type { KernelRoute } from "../kernel.ts";
import { kernelPriority } from "./route-message.ts";

/** The kernel's own key of a route: what `replace` replaces by. */
export function routeKey(route: Pick<KernelRoute, "table" | "destination" | "priority">): string {
  return `${route.table} ${route.destination} ${kernelPriority(route)}`;
}

/**
 * True when the kernel would list both as one: IPv6 has no scopes and lists all as universe, shows
 * what drops packets with the loopback device, and one next hop may be written either way.
 */
export function sameRoute(a: KernelRoute, b: KernelRoute): boolean {
  return isWrittenAlike(a, b) || canonicalText(a) === canonicalText(b);
}

/** Most are: a table of thousands is compared at each change of one. */
function isWrittenAlike(a: KernelRoute, b: KernelRoute): boolean {
  return (
    a.destination === b.destination &&
    a.gateway === b.gateway &&
    a.ifindex === b.ifindex &&
    a.onlink === b.onlink &&
    a.protocol === b.protocol &&
    a.priority === b.priority &&
    a.table === b.table &&
    a.kind === b.kind &&
    a.scope === b.scope &&
    a.source === b.source &&
    a.mtu === b.mtu &&
    a.nextHops === b.nextHops &&
    a.encap === b.encap
  );
}

function canonicalText(route: KernelRoute): string {
  const { kind, protocol, source = "", mtu = 0, encap } = route;
  const ends = encap === undefined ? "" : `${encap.source}>${encap.destination}`;
  const scope = prefixFamily(route.destination) === 6 ? "" : route.scope;
  const hops = hopsOf(route)
    .map((hop) => {
      const weight = "weight" in hop ? (hop.weight ?? 1) : 1;
      return `${hop.gateway ?? ""}%${hop.ifindex ?? ""}${hop.onlink === true ? "!" : ""}*${weight}`;
    })
    .sort();
  return `${routeKey(route)} ${kind} ${scope} ${protocol} ${source} ${mtu} ${ends} ${hops.join(" ")}`;
}

function hopsOf(route: KernelRoute): NonNullable<KernelRoute["nextHops"]> | readonly [KernelRoute] {
  if (route.kind !== "unicast" && route.kind !== "local") return [];
  return route.nextHops ?? [route];
}
