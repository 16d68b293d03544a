import type { ForwardingDatabase } from "../kernel.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import {
  familyBridge,
  neighborMessage,
  readFdbEntry,
  writeFdbEntry,
  writeNeighborFilter,
} from "./neighbor-message.ts";
import { applyEntries, errnos, flag } from "./requests.ts";

/** The forwarding databases of the VXLAN devices of a socket's network namespace. */
export function forwardingDatabase(socket: NetlinkSocket): ForwardingDatabase {
  return {
    list: (ifindex) =>
      socket.dump(
        {
          type: neighborMessage.get,
          flags: 0,
          fill: (writer) => writeNeighborFilter(writer, familyBridge, ifindex),
        },
        "Cannot list the forwarding database",
        ({ body }) => {
          const entry = readFdbEntry(body);
          return entry?.ifindex === ifindex ? entry : undefined;
        },
      ),
    replace: (entries) =>
      applyEntries(socket, entries, {
        type: neighborMessage.new,
        flags: flag.create | flag.replace,
        fine: [],
        fill: writeFdbEntry,
      }),
    remove: (entries) =>
      applyEntries(socket, entries, {
        type: neighborMessage.delete,
        flags: 0,
        fine: [errnos.ENOENT, errnos.ENODEV],
        fill: writeFdbEntry,
      }),
  };
}
