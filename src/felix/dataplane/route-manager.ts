import type { KernelRoute } from "../../kernel/kernel.ts";
import { mainTable } from "../../kernel/ownership.ts";
import type { IpAddr, IpFamily } from "../../lib/ip-addr.ts";
import { hostPrefix, isHostPrefix, type Prefix, prefixFamily } from "../../lib/prefix.ts";
import type { ClusterRoute, DataplaneUpdate, PoolClass, Vtep } from "../calc/updates.ts";
import type { TunnelWay } from "./ip6-tunnel-manager.ts";
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
  /** The device of the userspace UDP tunnel, once it has its addresses, and the other nodes'. */
  readonly udp?: UdpTunnel | undefined;
  /** Devices that carry IPv6 in IP, once they have their addresses, and how they lead to a node. */
  readonly ip6Tunnels?: ReadonlyMap<PoolClass, Ip6Tunnel>;
  readonly deviceRouteProtocol: number;
}

export interface UdpTunnel {
  readonly ifindex: number;
  tunnelAddress(node: string, family: IpFamily): IpAddr | undefined;
}

export interface Ip6Tunnel {
  readonly ifindex: number;
  wayTo(node: string): TunnelWay | undefined;
}

/**
 * Routes to the rest of the cluster, for the pool classes that felix owns (facts 4.9, 4.15): same-subnet
 * and unencapsulated routes by the node's address, the others through the tunnel device; blackholes
 * for local blocks. A route that lacks something yet is left out until it is there.
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

  /** Destinations whose routes are bgp's, of both classes that may be. */
  given(): Set<Prefix> {
    const given = new Set<Prefix>();
    for (const route of this.#routes.values()) {
      if (route.poolClass === "none" || this.#owned.has(route.poolClass)) continue;
      if (isLocalBlock(route) || isRemote(route)) given.add(route.destination);
    }
    return given;
  }

  /** Destinations of ours without a route yet: a tunnel's end is not known, or its device not there. */
  lacking(routes: readonly KernelRoute[]): Set<Prefix> {
    const made = new Set(routes.map(({ destination }) => destination));
    const lacking = new Set<Prefix>();
    for (const route of this.#routes.values()) {
      const { poolClass, destination, nodeAddress } = route;
      // A node that is gone is waited for by nobody.
      if (!this.#owned.has(poolClass) || nodeAddress === undefined || made.has(destination))
        continue;
      if (isRemote(route)) lacking.add(destination);
    }
    return lacking;
  }

  routes(context: RouteContext): KernelRoute[] {
    return [...this.#routes.values()].flatMap((route) => {
      if (!this.#owned.has(route.poolClass)) return [];
      if (isLocalBlock(route))
        return [blackhole(route, clusterRouteProtocol(context.deviceRouteProtocol))];
      return isRemote(route) ? (remoteRoute(route, context) ?? []) : [];
    });
  }
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
  if (route.poolClass === "ip6ip6" || route.poolClass === "sit") {
    const tunnel = context.ip6Tunnels?.get(route.poolClass);
    const way = tunnel?.wayTo(route.node ?? "");
    if (tunnel === undefined || way === undefined) return undefined;
    const { onlink: _onlink, ...plain } = common;
    const protocol = clusterRouteProtocol(context.deviceRouteProtocol);
    return { ...plain, ...way, ifindex: tunnel.ifindex, protocol };
  }
  const { ifindex, tunnelAddress } = addressedTunnel(route, family, context);
  if (ifindex === undefined || tunnelAddress === undefined) return undefined;
  const protocol = context.deviceRouteProtocol;
  if (route.destination === hostPrefix(tunnelAddress)) {
    // The tunnel's own address: reached on the link, by its permanent neighbor.
    const { onlink: _onlink, ...link } = common;
    return { ...link, scope: family === 4 ? "link" : "universe", ifindex, protocol };
  }
  return { ...common, gateway: tunnelAddress, ifindex, protocol };
}

/** Device of the tunnels whose ends have addresses of their own, and the one at the other node. */
function addressedTunnel(
  { poolClass, node = "" }: ClusterRoute,
  family: IpFamily,
  { vteps, vxlanIfindex, udp }: RouteContext,
): { readonly ifindex?: number | undefined; readonly tunnelAddress?: IpAddr | undefined } {
  if (poolClass === "udp") {
    return { ifindex: udp?.ifindex, tunnelAddress: udp?.tunnelAddress(node, family) };
  }
  if (poolClass !== "vxlan") return {};
  const vtep = vteps.get(node);
  const end = family === 4 ? vtep?.v4 : vtep?.v6;
  return { ifindex: vxlanIfindex[family], tunnelAddress: end?.tunnelAddress };
}
