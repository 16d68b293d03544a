import { ipFamily } from "../../lib/ip-addr.ts";
import type { Addresses, NewAddress } from "../kernel.ts";
import { isErrno } from "../netlink/netlink-error.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import {
  addressMessage,
  readAddress,
  writeAddress,
  writeAddressFilter,
} from "./address-message.ts";
import { errnos, flag, unless } from "./requests.ts";

/** The addresses of a socket's network namespace. */
export function addressesOf(socket: NetlinkSocket): Addresses {
  const change = (type: number, flags: number, address: NewAddress) =>
    socket.request(
      { type, flags, fill: (writer) => writeAddress(writer, address) },
      `Cannot ${type === addressMessage.new ? "add" : "remove"} address ${address.address}/${address.length}`,
    );
  return {
    list: async (filter = {}) => {
      const all = await socket
        .dump(
          {
            type: addressMessage.get,
            flags: 0,
            fill: (writer) => writeAddressFilter(writer, filter),
          },
          "Cannot list addresses",
          ({ body }) => readAddress(body),
        )
        .catch((error: unknown) => {
          if (filter.ifindex !== undefined && isErrno(error, errnos.ENODEV)) return [];
          throw error;
        });
      return all.filter(
        ({ ifindex, address }) =>
          (filter.ifindex === undefined || ifindex === filter.ifindex) &&
          (filter.family === undefined || ipFamily(address) === filter.family),
      );
    },
    add: (address) =>
      unless([errnos.EEXIST], change(addressMessage.new, flag.create | flag.exclusive, address)),
    remove: (address) =>
      unless([errnos.EADDRNOTAVAIL, errnos.ENODEV], change(addressMessage.delete, 0, address)),
  };
}
