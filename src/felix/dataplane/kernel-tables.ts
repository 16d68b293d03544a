import type {
  FdbEntry,
  Kernel,
  KernelFailure,
  KernelNeighbor,
  KernelRoute,
} from "../../kernel/kernel.ts";
import { mainTable, routeProtocol, vxlanDevice, vxlanDeviceV6 } from "../../kernel/ownership.ts";
import { SyncedTable, type TableDriver } from "../../kernel/synced-table.ts";
import type { KernelLinks } from "./kernel-links.ts";

/** felix's drivers: which entries of the kernel's tables are ours, and how they are changed. */

export interface OwnershipConfig {
  readonly interfacePrefixes: readonly string[];
  readonly deviceRouteProtocol: number;
  readonly removeExternalRoutes: boolean;
}

const tunnelDevices: ReadonlySet<string> = new Set([vxlanDevice, vxlanDeviceV6]);
const kernelProtocol = 2;

/** The kernel's own key of a route (facts 4.16). */
export function routeKey(route: Pick<KernelRoute, "destination" | "priority">): string {
  return `${route.destination} ${route.priority}`;
}

/**
 * Facts 4.8 "Route ownership": protocol 80 is felix's; on pods' interfaces and tunnel devices so is
 * what carries its device protocol, and on pods' interfaces what others put there.
 */
export function isOwnRoute(
  route: KernelRoute,
  links: KernelLinks,
  config: OwnershipConfig,
): boolean {
  if (route.table !== mainTable) return false;
  if (route.protocol === routeProtocol.felix) return true;
  if (route.protocol === kernelProtocol || route.protocol === routeProtocol.bird) return false;
  const device = links.nameOf(route.ifindex);
  if (device === undefined) return false;
  const ofWorkload = config.interfacePrefixes.some((prefix) => device.startsWith(prefix));
  const known =
    route.protocol === routeProtocol.boot || route.protocol === config.deviceRouteProtocol;
  if (ofWorkload) return known || config.removeExternalRoutes;
  return tunnelDevices.has(device) && known;
}

export function sameRoute(a: KernelRoute, b: KernelRoute): boolean {
  return (
    a.kind === b.kind &&
    a.scope === b.scope &&
    a.protocol === b.protocol &&
    a.gateway === b.gateway &&
    a.ifindex === b.ifindex &&
    (a.onlink ?? false) === (b.onlink ?? false) &&
    a.source === b.source
  );
}

export function routeTable(
  kernel: Kernel,
  links: KernelLinks,
  config: OwnershipConfig,
): SyncedTable<string, KernelRoute> {
  return new SyncedTable({
    list: async () => {
      const routes = await kernel.routes.list({ table: mainTable });
      const own = routes.filter((route) => isOwnRoute(route, links, config));
      return new Map(own.map((route) => [routeKey(route), route]));
    },
    set: async (entries) =>
      failuresOf(await kernel.routes.replace([...entries.values()]), routeKey),
    remove: async (entries) =>
      failuresOf(await kernel.routes.remove([...entries.values()]), routeKey),
    equal: sameRoute,
  } satisfies TableDriver<string, KernelRoute>);
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

/** The whole forwarding database of the tunnel devices is ours. */
export function fdbTable(kernel: Kernel, links: KernelLinks): SyncedTable<string, FdbEntry> {
  return new SyncedTable({
    list: async () => {
      const devices = [...tunnelDevices].flatMap((name) => links.byName(name)?.ifindex ?? []);
      const lists = await Promise.all(devices.map((ifindex) => kernel.fdb.list(ifindex)));
      return new Map(lists.flat().map((entry) => [fdbKey(entry), entry]));
    },
    set: async (entries) => failuresOf(await kernel.fdb.replace([...entries.values()]), fdbKey),
    remove: async (entries) => failuresOf(await kernel.fdb.remove([...entries.values()]), fdbKey),
    equal: (a, b) => a.destination === b.destination,
  } satisfies TableDriver<string, FdbEntry>);
}

function failuresOf<Entry>(
  failures: readonly KernelFailure<Entry>[],
  key: (entry: Entry) => string,
): Map<string, string> {
  return new Map(failures.map(({ entry, message }) => [key(entry), message]));
}
