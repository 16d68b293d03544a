import { bufferAddress } from "../netlink/libc.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";

/** Settings of links that rtnetlink does not have (linux/ethtool.h, linux/sockios.h). */

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_STXCSUM = 0x17;
const nameBytes = 16;
const requestBytes = 40;

/** Whether checksums of what leaves by a link are left to it, or to who is below it. */
export async function offloadsChecksum(socket: NetlinkSocket, name: string): Promise<boolean> {
  const value = await ask(socket, name, [ETHTOOL_GTXCSUM, 0], "read");
  return value !== 0;
}

/** `ethtool -K NAME tx on|off`. */
export async function setChecksumOffload(
  socket: NetlinkSocket,
  name: string,
  on: boolean,
): Promise<void> {
  await ask(socket, name, [ETHTOOL_STXCSUM, on ? 1 : 0], "change");
}

/** struct ethtool_value: command(4) value(4); struct ifreq: name(16) pointer(8), 40 in all. */
async function ask(
  socket: NetlinkSocket,
  name: string,
  command: readonly [command: number, value: number],
  verb: "read" | "change",
): Promise<number> {
  const value = Buffer.alloc(8);
  value.set(new Uint8Array(Uint32Array.from(command).buffer));
  const request = Buffer.alloc(requestBytes);
  request.write(name, 0, nameBytes - 1);
  request.writeBigUInt64LE(bufferAddress(value), nameBytes);
  await socket.ioctl(SIOCETHTOOL, request, `Cannot ${verb} the checksum offload of ${name}`);
  return value.readUInt32LE(4);
}
