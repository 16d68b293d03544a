import { routeKey, sameRoute } from "../../kernel/ip/route-identity.ts";
import type {
  FdbEntry,
  Kernel,
  KernelFailure,
  KernelNeighbor,
  KernelRoute,
} from "../../kernel/kernel.ts";
import {
  ipipDevice,
  mainTable,
  routeProtocol,
  udpDevice,
  vxlanDevice,
  vxlanDeviceV6,
} from "../../kernel/ownership.ts";
import { SyncedTable, type TableDriver } from "../../kernel/synced-table.ts";
import type { FelixConfig } from "../config/felix-config.ts";
import type { AwaitedRoutes } from "./awaited-routes.ts";
import type { KernelLinks } from "./kernel-links.ts";
import { ownedClasses } from "./owned-classes.ts";
import { replaceRoutes } from "./tunnel-routes.ts";

/** felix's drivers: which entries of the kernel's tables are ours, and how they are changed. */

export interface OwnershipConfig {
  readonly interfacePrefixes: readonly string[];
  readonly deviceRouteProtocol: number;
  readonly removeExternalRoutes: boolean;
  readonly programClusterRoutes: FelixConfig["programClusterRoutes"];
}

/** Of routes that are not on our own devices: DeviceRouteProtocol, unless it is boot, which is not ours alone. */
export function clusterRouteProtocol(deviceRouteProtocol: number): number {
  return deviceRouteProtocol === routeProtocol.boot ? routeProtocol.felix : deviceRouteProtocol;
}

const vxlanDevices: readonly string[] = [vxlanDevice, vxlanDeviceV6];
const tunnelDevices: ReadonlySet<string> = new Set([...vxlanDevices, udpDevice]);
const kernelProtocol = 2;

export function isTunnelDevice(name: string | undefined): boolean {
  return name !== undefined && tunnelDevices.has(name);
}

/**
 * Facts 4.8 "Route ownership": protocol 80 is felix's; on pods' interfaces and tunnel devices so is
 * what carries its device protocol, and on pods' interfaces what others put there. On the IPIP device
 * so is what BIRD left there, when felix programs IPIP.
 */
export function isOwnRoute(
  route: KernelRoute,
  links: KernelLinks,
  config: OwnershipConfig,
): boolean {
  if (route.table !== mainTable) return false;
  if (route.protocol === clusterRouteProtocol(config.deviceRouteProtocol)) return true;
  if (route.protocol === kernelProtocol) return false;
  const device = links.nameOf(route.ifindex);
  if (device === undefined) return false;
  if (route.protocol === routeProtocol.bird) {
    return device === ipipDevice && ownedClasses(config).has("ipip");
  }
  const ofWorkload = config.interfacePrefixes.some((prefix) => device.startsWith(prefix));
  const known =
    route.protocol === routeProtocol.boot || route.protocol === config.deviceRouteProtocol;
  if (ofWorkload) return known || config.removeExternalRoutes;
  return tunnelDevices.has(device) && known;
}

/**
 * felix's routes. What others put on a pod's new interface stays for a while: a CNI plugin of upstream's
 * makes the pod's route before its endpoint reaches us (facts 4.16). What is awaited from
 * bgp, or lacks something, stays until it is there.
 */
export function routeTable(
  kernel: Kernel,
  links: KernelLinks,
  config: OwnershipConfig,
  awaited: AwaitedRoutes,
): SyncedTable<string, KernelRoute> {
  const isWorkload = (device = "") =>
    config.interfacePrefixes.some((prefix) => device.startsWith(prefix));
  const table: SyncedTable<string, KernelRoute> = new SyncedTable({
    list: async () => {
      const routes = await kernel.routes.list({ table: mainTable });
      const known = new Set(table.desired.values().map(({ ifindex }) => ifindex));
      const isOurs = (route: KernelRoute) => isOwnRoute(route, links, config);
      const kept = awaited.kept(routes, isOurs);
      const mayGo = ({ destination, ifindex }: KernelRoute) =>
        !kept.has(destination) &&
        (known.has(ifindex) || !isWorkload(links.nameOf(ifindex)) || !links.isNew(ifindex ?? 0));
      const own = routes.filter((route) => isOurs(route) && mayGo(route));
      return new Map(own.map((route) => [routeKey(route), route]));
    },
    set: async (entries) =>
      failuresOf(await replaceRoutes([...entries.values()], kernel.routes), routeKey),
    remove: async (entries) =>
      failuresOf(await kernel.routes.remove([...entries.values()]), routeKey),
    equal: sameRoute,
    setsFirst: true,
  } satisfies TableDriver<string, KernelRoute>);
  return table;
}

export function neighborKey(neighbor: Pick<KernelNeighbor, "ifindex" | "address">): string {
  return `${neighbor.ifindex} ${neighbor.address}`;
}

/** Permanent entries on pods' interfaces and tunnel devices are ours; learned ones are nobody's. */
export function neighborTable(
  kernel: Kernel,
  links: KernelLinks,
  config: OwnershipConfig,
): SyncedTable<string, KernelNeighbor> {
  const isOurs = ({ ifindex, state }: KernelNeighbor) => {
    const device = links.nameOf(ifindex) ?? "";
    const ofWorkload = config.interfacePrefixes.some((prefix) => device.startsWith(prefix));
    return state === "permanent" && (ofWorkload || tunnelDevices.has(device));
  };
  return new SyncedTable({
    list: async () => {
      const own = (await kernel.neighbors.list()).filter(isOurs);
      return new Map(own.map((neighbor) => [neighborKey(neighbor), neighbor]));
    },
    set: async (entries) =>
      failuresOf(await kernel.neighbors.replace([...entries.values()]), neighborKey),
    remove: async (entries) =>
      failuresOf(await kernel.neighbors.remove([...entries.values()]), neighborKey),
    equal: (a, b) => a.mac === b.mac,
  } satisfies TableDriver<string, KernelNeighbor>);
}

export function fdbKey(entry: FdbEntry): string {
  return `${entry.ifindex} ${entry.mac}`;
}

/** The whole forwarding database of the VXLAN devices is ours. */
export function fdbTable(kernel: Kernel, links: KernelLinks): SyncedTable<string, FdbEntry> {
  return new SyncedTable({
    list: async () => {
      const devices = vxlanDevices.flatMap((name) => links.byName(name)?.ifindex ?? []);
      const lists = await Promise.all(devices.map((ifindex) => kernel.fdb.list(ifindex)));
      return new Map(lists.flat().map((entry) => [fdbKey(entry), entry]));
    },
    set: async (entries) => failuresOf(await kernel.fdb.replace([...entries.values()]), fdbKey),
    remove: async (entries) => failuresOf(await kernel.fdb.remove([...entries.values()]), fdbKey),
    equal: (a, b) => a.destination === b.destination,
  } satisfies TableDriver<string, FdbEntry>);
}

export function failuresOf<Entry>(
  failures: readonly KernelFailure<Entry>[],
  key: (entry: Entry) => string,
): Map<string, string> {
  return new Map(failures.map(({ entry, message }) => [key(entry), message]));
}
