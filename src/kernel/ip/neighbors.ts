import { ipFamily } from "../../lib/ip-addr.ts";
import type { Neighbors } from "../kernel.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import {
  neighborMessage,
  readNeighbor,
  writeNeighbor,
  writeNeighborFilter,
} from "./neighbor-message.ts";
import { applyEntries, errnos, flag } from "./requests.ts";
import { addressFamilies } from "./route-message.ts";

/** The neighbors (ARP and NDP) of a socket's network namespace. */
export function neighborsOf(socket: NetlinkSocket): Neighbors {
  return {
    list: async ({ family, ifindex } = {}) => {
      const afi = family === undefined ? 0 : addressFamilies[family];
      const all = await socket.dump(
        {
          type: neighborMessage.get,
          flags: 0,
          fill: (writer) => writeNeighborFilter(writer, afi, ifindex),
        },
        "Cannot list neighbors",
        ({ body }) => readNeighbor(body),
      );
      return all.filter(
        (neighbor) =>
          (ifindex === undefined || neighbor.ifindex === ifindex) &&
          (family === undefined || ipFamily(neighbor.address) === family),
      );
    },
    replace: (neighbors) =>
      applyEntries(socket, neighbors, {
        type: neighborMessage.new,
        flags: flag.create | flag.replace,
        fine: [],
        fill: writeNeighbor,
      }),
    remove: (neighbors) =>
      applyEntries(socket, neighbors, {
        type: neighborMessage.delete,
        flags: 0,
        fine: [errnos.ENOENT, errnos.ENODEV],
        fill: writeNeighbor,
      }),
  };
}
