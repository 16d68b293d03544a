import { errno, libc } from "../../../src/kernel/netlink/libc.ts";
import { systemError } from "../../../src/kernel/netlink/netlink-error.ts";
import { socketAddress } from "../../../src/kernel/tcp-options.ts";
import { type IpAddr, type IpFamily, ipFromBytes } from "../../../src/lib/ip-addr.ts";

/**
 * Sockets without an event loop: what is sent goes out, and through the namespaces of this machine, before
 * the call returns. Call these inside `inNetns`; a descriptor belongs to the namespace it was opened in.
 */

export type SocketKind = "tcp" | "udp" | { readonly rawProtocol: number };

const domains: Readonly<Record<IpFamily, number>> = { 4: 2, 6: 10 };
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_LINGER = 13;
const SOL_IPV6 = 41;
const IPV6_V6ONLY = 26;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EINPROGRESS = 115;
const receiveBytes = 2048;

export function openSocket(kind: SocketKind, family: IpFamily): number {
  const flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
  const [type, protocol] =
    typeof kind === "object"
      ? [SOCK_RAW, kind.rawProtocol]
      : [kind === "tcp" ? SOCK_STREAM : SOCK_DGRAM, 0];
  const fd = check("open a socket", libc.socket(domains[family], type | flags, protocol));
  setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (family === 6 && typeof kind === "string") setNumber(fd, SOL_IPV6, IPV6_V6ONLY, 1);
  return fd;
}

export function bindSocket(fd: number, address: IpAddr, port: number): void {
  const bytes = socketAddress(address, port);
  check(`bind ${address} port ${port}`, libc.bind(fd, bytes, bytes.length));
}

export function listenSocket(fd: number): void {
  check("listen", libc.listen(fd, 1024));
}

/** TCP's handshake begins; it may be over when this returns. */
export function connectSocket(fd: number, address: IpAddr, port: number): void {
  const bytes = socketAddress(address, port);
  if (libc.connect(fd, bytes, bytes.length) >= 0) return;
  const code = errno();
  if (code !== EINPROGRESS) throw systemError(`Cannot connect to ${address} port ${port}`, code);
}

export interface Accepted {
  readonly fd: number;
  /** Of the other end. */
  readonly address: IpAddr;
  readonly port: number;
}

/** A connection that was waiting; undefined when none was. */
export function acceptSocket(fd: number, family: IpFamily): Accepted | undefined {
  const name = Buffer.alloc(28);
  const length = Buffer.alloc(4);
  length.writeInt32LE(name.length);
  const accepted = libc.accept4(fd, name, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (accepted < 0) return undefined;
  const bytes = family === 4 ? name.subarray(4, 8) : name.subarray(8, 24);
  return { fd: accepted, address: ipFromBytes(bytes), port: name.readUInt16BE(2) };
}

/** A packet that is refused on its way out (EPERM, EHOSTUNREACH) is one that was not let through. */
export function sendBytes(fd: number, bytes: Uint8Array): boolean {
  return libc.send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

export function receiveBytesOf(fd: number): Buffer | undefined {
  const buffer = Buffer.alloc(receiveBytes);
  const length = libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT);
  return length < 0 ? undefined : buffer.subarray(0, length);
}

/** Leaves nothing behind that a later connection could be taken for. */
export function resetAndClose(fd: number): void {
  const linger = Buffer.alloc(8);
  linger.writeInt32LE(1, 0);
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length);
  libc.close(fd);
}

export function closeSocket(fd: number): void {
  libc.close(fd);
}

function setNumber(fd: number, level: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  check("set a socket's option", libc.setsockopt(fd, level, option, bytes, bytes.length));
}

function check(what: string, result: number): number {
  if (result < 0) throw systemError(`Cannot ${what}`, errno());
  return result;
}
