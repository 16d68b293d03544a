import { errno, libc } from "../netlink/libc.ts";
import { systemError } from "../netlink/netlink-error.ts";

/** Ethernet devices whose frames a process reads and writes (Documentation/networking/tuntap.rst). */

const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const IFF_TAP = 0x2;
const IFF_NO_PI = 0x1000;
const O_RDWR = 2;
const O_NONBLOCK = 0x800;
const O_CLOEXEC = 0x80000;
/** struct ifreq: name(16), then a union of 24 octets that begins with the flags. */
const ifreqBytes = 40;

/**
 * Makes a device that stays when nobody reads from it: packets to it are then dropped.
 *
 * @throws {NetlinkError} when it is there already as another kind, or is in use.
 */
export function createTap(name: string): void {
  const fd = attach(name);
  const result = libc.ioctl(fd, TUNSETPERSIST, 1);
  const code = errno();
  libc.close(fd);
  if (result < 0) throw systemError(`Cannot keep the device ${name}`, code);
}

/**
 * A descriptor for the frames of a device that is there. It never blocks.
 *
 * @throws {NetlinkError} when another process has it.
 */
export function openTap(name: string): number {
  return attach(name);
}

function attach(name: string): number {
  const fd = libc.open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) throw systemError("Cannot open /dev/net/tun", errno());
  const request = Buffer.alloc(ifreqBytes);
  request.write(name, 0, 15, "latin1");
  request.writeUInt16LE(IFF_TAP | IFF_NO_PI, 16);
  if (libc.ioctlPointer(fd, TUNSETIFF, request) >= 0) return fd;
  const code = errno();
  libc.close(fd);
  throw systemError(`Cannot attach to the device ${name}`, code);
}
