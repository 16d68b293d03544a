import { createSocket } from "node:dgram";
import { type IpAddr, type IpFamily, parseIpAddr } from "../lib/ip-addr.ts";

/**
 * The address that the kernel would send from to a host, for can-reach. No packet is sent: a UDP
 * socket is connected and asked for its own address. A name is resolved first.
 *
 * @returns undefined when there is no route, or no such name.
 */
export function routeSource(target: string, family: IpFamily): Promise<IpAddr | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 4 ? "udp4" : "udp6");
    const finish = (address: IpAddr | undefined) => {
      socket.close();
      resolve(address);
    };
    socket.once("error", () => finish(undefined));
    socket.connect(discardPort, target, () => finish(parseIpAddr(socket.address().address)));
  });
}

/** Discard (RFC 863): any port does. */
const discardPort = 9;
