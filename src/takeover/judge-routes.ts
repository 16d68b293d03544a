import type { KernelChange } from "../kernel/dry/kernel-change.ts";
import { routeKey } from "../kernel/ip/route-identity.ts";
import { kernelPriority } from "../kernel/ip/route-message.ts";
import type { KernelRoute } from "../kernel/kernel.ts";
import { mainTable, routeProtocol } from "../kernel/ownership.ts";
import { groupBy } from "../lib/collections.ts";
import { prefixAddress, prefixLength, prefixOf } from "../lib/prefix.ts";
import type { Finding } from "./finding.ts";

export type LinkNames = ReadonlyMap<number, string>;

/**
 * Routes that would change. A new one is there before the one that it stands in for goes, so only where packets would
 * go counts.
 */
export function judgeRoutes(
  changes: readonly KernelChange[],
  before: readonly KernelRoute[],
  names: LinkNames,
): Finding[] {
  const routes = changes.filter((change) => change.kind === "route");
  const set = routes.filter(({ op }) => op === "set").map(({ route }) => route);
  const removed = routes.filter(({ op }) => op === "remove").map(({ route }) => route);
  const gone = new Set(removed.map(routeKey));
  const places = groupBy(before, placeOf);
  const replacedBy = new Map<string, KernelRoute>();
  const findings = set.map((route) => {
    const old =
      before.find((one) => routeKey(one) === routeKey(route)) ??
      removed.find((one) => placeOf(one) === placeOf(route));
    if (old === undefined) return added(route, wayNow(route, places), names);
    replacedBy.set(routeKey(old), route);
    return replaced(old, route, names);
  });
  for (const route of removed) {
    if (replacedBy.has(routeKey(route))) continue;
    const others = [
      ...(places.get(placeOf(route)) ?? []).filter((other) => !gone.has(routeKey(other))),
      ...set.filter((one) => placeOf(one) === placeOf(route)),
    ];
    const isNeeded = others.every(
      (other) =>
        kernelPriority(other) > kernelPriority(route) &&
        wayOf(other, names) !== wayOf(route, names),
    );
    findings.push(taken(route, isNeeded, names));
  }
  return findings;
}

/** As `ip route` writes it, near enough. */
export function routeText(route: KernelRoute, names: LinkNames): string {
  const { kind, destination, gateway, ifindex, protocol, priority, nextHops = [], encap } = route;
  const hop = (one: { readonly gateway?: string; readonly ifindex?: number }) => [
    ...(one.gateway === undefined ? [] : [`via ${one.gateway}`]),
    ...(one.ifindex === undefined ? [] : [`dev ${names.get(one.ifindex) ?? one.ifindex}`]),
  ];
  return [
    ...(kind === "unicast" ? [] : [kind]),
    destination,
    ...(encap === undefined ? [] : [`encap ip6 dst ${encap.destination}`]),
    ...hop({ ...(gateway && { gateway }), ...(ifindex !== undefined && { ifindex }) }),
    ...nextHops.flatMap((one) => ["nexthop", ...hop(one)]),
    `proto ${protocol === routeProtocol.bird ? "bird" : protocol}`,
    ...(priority === 0 ? [] : [`metric ${priority}`]),
  ].join(" ");
}

function placeOf({ table, destination }: Pick<KernelRoute, "table" | "destination">): string {
  return `${table} ${destination}`;
}

/** The way that packets to a destination without a route of its own, or of this metric, take now; the default is none. */
function wayNow(
  { table, destination }: KernelRoute,
  places: ReadonlyMap<string, readonly KernelRoute[]>,
): KernelRoute | undefined {
  const address = prefixAddress(destination);
  for (let length = prefixLength(destination); length > 0; length--) {
    const routes = places.get(placeOf({ table, destination: prefixOf(address, length) })) ?? [];
    const [best] = routes.toSorted((a, b) => kernelPriority(a) - kernelPriority(b));
    if (best !== undefined) return best;
  }
  return undefined;
}

function added(route: KernelRoute, now: KernelRoute | undefined, names: LinkNames): Finding {
  const what = `route ${routeText(route, names)}`;
  if (now?.kind === "unicast" && wayOf(now, names) !== wayOf(route, names)) {
    const why = `packets to it go by ${routeText(now, names)} now`;
    return { change: "added", what, interrupts: true, why };
  }
  if (route.table !== mainTable && route.kind === "unicast") {
    const why = "packets to it go by the main table now";
    return { change: "added", what, interrupts: true, why };
  }
  const why =
    route.kind === "blackhole"
      ? "it ends packets to addresses of this node's block that no pod has"
      : "there is no route to this destination now";
  return { change: "added", what, interrupts: false, why };
}

function replaced(old: KernelRoute, route: KernelRoute, names: LinkNames): Finding {
  const interrupts = wayOf(old, names) !== wayOf(route, names);
  return {
    change: "replaced",
    what: `route ${routeText(old, names)} by ${routeText(route, names)}`,
    interrupts,
    why: interrupts
      ? "packets would take another way"
      : "packets go the same way: the new one is there before the old one goes",
  };
}

function taken(route: KernelRoute, isNeeded: boolean, names: LinkNames): Finding {
  const leads = route.kind === "unicast" && isNeeded;
  return {
    change: "removed",
    what: `route ${routeText(route, names)}`,
    interrupts: leads,
    why: leads
      ? "nothing in the datastore asks for it: what goes this way now would not any more"
      : "no packet needs it",
  };
}

/** And what is said of packets on it. A device that is made anew has another index and the same name. */
function wayOf(route: KernelRoute, names: LinkNames): string {
  if (route.kind !== "unicast") return route.kind;
  const hops = route.nextHops ?? [route];
  const { encap, source = "", mtu = "" } = route;
  const end = `${encap?.destination ?? ""} ${source} ${mtu} `;
  const ways = hops
    .map((hop) => `${hop.gateway ?? ""}%${names.get(hop.ifindex ?? 0) ?? hop.ifindex}`)
    .sort()
    .join(" ");
  return end + ways;
}
