import { type IpAddr, type IpFamily, ipBytes, ipFamily } from "../../lib/ip-addr.ts";
import { prefixFamily } from "../../lib/prefix.ts";
import type { KernelRoute, RouteTable } from "../kernel.ts";
import { isErrno } from "../netlink/netlink-error.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { applyEntries, errnos, flag } from "./requests.ts";
import {
  readRoute,
  routeMessage,
  writeLookup,
  writeRoute,
  writeRouteFilter,
} from "./route-message.ts";

type Filter = NonNullable<Parameters<RouteTable["list"]>[0]>;

/** The routes of a socket's network namespace. */
export function routeTable(socket: NetlinkSocket): RouteTable {
  return {
    list: (filter = {}) => listRoutes(socket, filter),
    replace: (routes) =>
      applyEntries(socket, routes, {
        type: routeMessage.new,
        flags: flag.create | flag.replace,
        fine: [],
        fill: writeRoute,
      }),
    remove: (routes) =>
      applyEntries(socket, routes, {
        type: routeMessage.delete,
        flags: 0,
        fine: [errnos.ESRCH, errnos.ENOENT, errnos.ENODEV],
        fill: (writer, route) => writeRoute(writer, route, { forDelete: true }),
      }),
    lookup: (destination) => lookUp(socket, destination),
  };
}

async function listRoutes(socket: NetlinkSocket, filter: Filter): Promise<KernelRoute[]> {
  const families: IpFamily[] = filter.family === undefined ? [4, 6] : [filter.family];
  const lists = families.map((family) => listFamily(socket, family, filter));
  return (await Promise.all(lists)).flat();
}

/** The kernel filters since Linux 4.20; we do for those before. */
async function listFamily(
  socket: NetlinkSocket,
  family: IpFamily,
  { table, protocol }: Filter,
): Promise<KernelRoute[]> {
  const selected = (route: KernelRoute): boolean =>
    prefixFamily(route.destination) === family &&
    (table === undefined || route.table === table) &&
    (protocol === undefined || route.protocol === protocol);
  try {
    return await socket.dump(
      {
        type: routeMessage.get,
        flags: 0,
        fill: (writer) => writeRouteFilter(writer, family, { table, protocol }),
      },
      "Cannot list routes",
      ({ body }) => {
        const route = readRoute(body);
        return route !== undefined && selected(route) ? route : undefined;
      },
    );
  } catch (error) {
    // A table in which there never was a route does not exist.
    if (table !== undefined && isErrno(error, errnos.ENOENT)) return [];
    throw error;
  }
}

/** What `ip route get` says when no packet would go out. */
const noWay = [
  errnos.EACCES,
  errnos.EINVAL,
  errnos.ENETUNREACH,
  errnos.EHOSTUNREACH,
  errnos.ESRCH,
] as const;

async function lookUp(
  socket: NetlinkSocket,
  destination: IpAddr,
): Promise<KernelRoute | undefined> {
  try {
    return await socket.query(
      {
        type: routeMessage.get,
        flags: 0,
        fill: (writer) => writeLookup(writer, ipFamily(destination), ipBytes(destination)),
      },
      `Cannot look up ${destination}`,
      ({ body }) => readRoute(body, { cloned: true }),
    );
  } catch (error) {
    if (isErrno(error, ...noWay)) return undefined;
    throw error;
  }
}
