import type { InterfaceSetup } from "../kernel.ts";
import { systemError } from "../netlink/netlink-error.ts";
import type { NetlinkSocket, Request } from "../netlink/socket.ts";
import { addressMessage, writeAddress } from "./address-message.ts";
import { linkMessage, writeLinkChange } from "./link-message.ts";
import { errnos, flag } from "./requests.ts";
import { routeMessage, writeRoute } from "./route-message.ts";

interface NamedRequest extends Request {
  readonly what: string;
  /** Refusals that are none. */
  readonly fine: readonly number[];
}

/** One exchange with the kernel: each step may need the one before it. */
export async function configureInterfaces(
  socket: NetlinkSocket,
  { up, routes, addresses }: InterfaceSetup,
): Promise<void> {
  const requests = [
    ...up.map(
      (ifindex): NamedRequest => ({
        type: linkMessage.new,
        flags: 0,
        fine: [],
        what: `Cannot set link ${ifindex} up`,
        fill: (writer) => writeLinkChange(writer, ifindex, { up: true }),
      }),
    ),
    ...routes.map(
      (route): NamedRequest => ({
        type: routeMessage.new,
        flags: flag.create | flag.replace,
        fine: [],
        what: `Cannot add the route to ${route.destination}`,
        fill: (writer) => writeRoute(writer, route),
      }),
    ),
    ...addresses.map(
      (address): NamedRequest => ({
        type: addressMessage.new,
        flags: flag.create | flag.exclusive,
        fine: [errnos.EEXIST],
        what: `Cannot add address ${address.address}/${address.length}`,
        fill: (writer) => writeAddress(writer, address),
      }),
    ),
  ];
  for (const { index, errno, message } of await socket.batch(requests)) {
    const request = requests[index];
    if (request === undefined || request.fine.includes(errno)) continue;
    throw systemError(request.what, errno, message);
  }
}
