import type { KernelRoute } from "../../kernel/kernel.ts";
import { mainTable } from "../../kernel/ownership.ts";
import type { IpFamily } from "../../lib/ip-addr.ts";
import { isHostPrefix, type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { ClusterRoute, DataplaneUpdate, PoolClass, Vtep } from "../calc/updates.ts";
import { clusterRouteProtocol } from "./kernel-tables.ts";

/** What the route manager must know of the kernel. */
export interface RouteContext {
  readonly vteps: ReadonlyMap<string, Vtep>;
  /** Interface that has the node's address. */
  readonly parentIfindex: Readonly<Partial<Record<IpFamily, number>>>;
  /** The VXLAN device, once it is there. */
  readonly vxlanIfindex: Readonly<Partial<Record<IpFamily, number>>>;
  /** The IPIP device, once it has its address. */
  readonly ipipIfindex: number | undefined;
  readonly deviceRouteProtocol: number;
}

export interface ClusterRoutes {
  readonly routes: readonly KernelRoute[];
  /** Destinations that another owner programs, or whose route lacks something yet. */
  readonly pending: ReadonlySet<Prefix>;
}

/**
 * Routes to the rest of the cluster, for the pool classes that felix owns (facts 4.9, 4.15): same-subnet
 * and unencapsulated routes by the node's address, the others through the tunnel device; blackholes
 * for local blocks. A route that lacks something yet is pending until it is there.
 */
export class RouteManager {
  readonly #owned: ReadonlySet<PoolClass>;
  readonly #routes = new Map<string, ClusterRoute>();

  constructor(owned: ReadonlySet<PoolClass>) {
    this.#owned = owned;
  }

  onUpdate(update: DataplaneUpdate): void {
    if (update.kind !== "route") return;
    if (update.op === "set") this.#routes.set(update.id, update.value);
    else this.#routes.delete(update.id);
  }

  routes(context: RouteContext): ClusterRoutes {
    const routes: KernelRoute[] = [];
    const pending = new Set<Prefix>();
    for (const route of this.#routes.values()) {
      if (route.poolClass === "none" || !(isLocalBlock(route) || isRemote(route))) continue;
      const programmed = this.#owned.has(route.poolClass) ? kernelRoute(route, context) : undefined;
      if (programmed !== undefined) routes.push(programmed);
      // A node that is gone is waited for by nobody.
      else if (route.nodeAddress !== undefined) pending.add(route.destination);
    }
    return { routes, pending };
  }
}

function kernelRoute(route: ClusterRoute, context: RouteContext): KernelRoute | undefined {
  if (!isLocalBlock(route)) return remoteRoute(route, context);
  return blackhole(route, clusterRouteProtocol(context.deviceRouteProtocol));
}

/** A /32 blackhole would stop the pod's own route (facts D 42). */
function isLocalBlock(route: ClusterRoute): boolean {
  return (
    route.types.has("localWorkload") && !route.localWorkload && !isHostPrefix(route.destination)
  );
}

function isRemote({ types, borrowed }: ClusterRoute): boolean {
  return types.has("remoteWorkload") || (types.has("remoteTunnel") && borrowed);
}

function blackhole({ destination }: ClusterRoute, protocol: number): KernelRoute {
  return {
    table: mainTable,
    destination,
    priority: prefixFamily(destination) === 4 ? 0 : 1024,
    kind: "blackhole",
    scope: "universe",
    protocol,
  };
}

function remoteRoute(route: ClusterRoute, context: RouteContext): KernelRoute | undefined {
  const family = prefixFamily(route.destination);
  const parent = context.parentIfindex[family];
  const direct = route.poolClass === "noEncap" || route.sameSubnet;
  const common = {
    table: mainTable,
    destination: route.destination,
    priority: family === 4 ? 0 : 1024,
    kind: "unicast",
    scope: "universe",
    onlink: true,
  } as const;
  if (direct && parent !== undefined && route.nodeAddress !== undefined) {
    const { nodeAddress: gateway } = route;
    const protocol = clusterRouteProtocol(context.deviceRouteProtocol);
    return { ...common, gateway, ifindex: parent, protocol };
  }
  if (route.poolClass === "ipip") {
    const { nodeAddress: gateway } = route;
    const { ipipIfindex: ifindex } = context;
    if (ifindex === undefined || gateway === undefined || family !== 4) return undefined;
    const protocol = clusterRouteProtocol(context.deviceRouteProtocol);
    return { ...common, gateway, ifindex, protocol };
  }
  if (route.poolClass !== "vxlan") return undefined;
  const ifindex = context.vxlanIfindex[family];
  const vtep = context.vteps.get(route.node ?? "");
  const end = family === 4 ? vtep?.v4 : vtep?.v6;
  if (ifindex === undefined || end === undefined) return undefined;
  const protocol = context.deviceRouteProtocol;
  if (route.types.has("remoteTunnel")) {
    // The tunnel's own address: reached on the link, by its permanent neighbor.
    const { onlink: _onlink, ...link } = common;
    return { ...link, scope: family === 4 ? "link" : "universe", ifindex, protocol };
  }
  return { ...common, gateway: end.tunnelAddress, ifindex, protocol };
}
